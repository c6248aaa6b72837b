#include "sluice/orders/options.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "sluice/base/strings.h"
#include "sluice/orders/open_queue.h"
#include "sluice/orders/open_store.h"
#include "sluice/orders/request_json.h"
#include "sluice/orders/version.h"

namespace sluice::orders {
namespace {

// What was given, before it is understood.
struct Given {
  std::string listen, seed_file, rate_limit;
  std::vector<std::string> purge;
  int64_t delay_ms = 0;
  int64_t stock_hold_ms = 10'000;
  ServeOptions serve;
  WorkOptions work;
  RepairOptions repair;
};

// CLI11 validators return what is wrong, or "".
std::string check_listen(const std::string& text, SocketAddress* address) {
  constexpr std::string_view kUnix = "unix:";
  std::optional<SocketAddress> found;
  if (text.starts_with(kUnix)) {
    found = SocketAddress::from_path(std::string_view(text).substr(kUnix.size()));
  } else if (const size_t colon = text.rfind(':'); colon != std::string::npos) {
    std::string_view host = std::string_view(text).substr(0, colon);
    const auto port = parse_decimal(std::string_view(text).substr(colon + 1));
    const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (is_bracketed) host = host.substr(1, host.size() - 2);
    const bool is_v6 = host.find(':') != std::string_view::npos;
    if (port && *port <= 65535 && is_v6 == is_bracketed) {
      found = SocketAddress::from_ip(host, static_cast<uint16_t>(*port));
    }
  }
  if (!found) return text + " is not IPV4:PORT, [IPV6]:PORT or unix:PATH";
  *address = *found;
  return {};
}

// "100/s", or just "100".
std::string check_rate(const std::string& given, int64_t* rate) {
  constexpr std::string_view kUnit = "/s";
  std::string_view text = given;
  if (text.ends_with(kUnit)) text.remove_suffix(kUnit.size());
  const auto number = parse_decimal(text);
  if (!number || *number == 0 || *number > 1'000'000) {
    return given + " is not N/s, with N in 1..1000000";
  }
  *rate = static_cast<int64_t>(*number);
  return {};
}

std::string check_name(const std::string& name) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (!std::ranges::any_of(name, is_control)) return {};
  return "control characters cannot stand in a header field";
}

std::string check_share(double share) {
  return share >= 0 && share <= 1 ? std::string() : fmt::format("{} is not in 0..1", share);
}

std::string check_seed_file(const std::string& path, ServeOptions* options) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) return "cannot read " + path;
  Checked<std::vector<Product>> seed = parse_seed(text);
  if (!seed) return fmt::format("{}: {}", path, seed.refusal.detail);
  options->seed = std::move(seed.value);
  options->has_seed_file = true;
  return {};
}

std::string check_purge(const std::vector<std::string>& given, std::vector<PurgeTarget>* targets) {
  for (const std::string& text : given) {
    std::string problem = read_purge_target(text, &targets->emplace_back());
    if (!problem.empty()) return problem;
  }
  return {};
}

// What both commands need to know.
template <typename Options>
void add_places(CLI::App& app, Options& options) {
  app.add_option("--db", options.database,
                 "The database: sqlite:FILE or postgres://…; tables are made when they are missing")
      ->required()
      ->type_name("URL");
  app.add_option("--queue", options.queue,
                 "The queue of events: embedded, amqp://… or kafka://HOST:PORT/TOPIC")
      ->type_name("URL")
      ->capture_default_str();
}

constexpr const char* kStockHelp =
    "The stock gate: redis://[USER:PASSWORD@]HOST[:PORT][/DB] or unix:/PATH; a shop needs a "
    "database number of its own";

void add_serve_gate(CLI::App& serve, Given& given) {
  const std::map<std::string, StockAway> ways{{"update", StockAway::update},
                                              {"refuse", StockAway::refuse}};
  serve.add_option("--stock", given.serve.gate.url, kStockHelp)->type_name("URL");
  serve
      .add_option("--stock-away", given.serve.gate.away,
                  "While the gate is away: update lets some orders at a time go to the database, "
                  "refuse answers 503")
      ->transform(CLI::CheckedTransformer(ways))
      ->type_name("update|refuse");
  serve
      .add_option("--stock-hold", given.stock_hold_ms,
                  "After so many ms a reservation without an end is settled by the database")
      ->check(CLI::Range(1000, 600'000))
      ->type_name("MS")
      ->capture_default_str();
}

CLI::App& add_repair(CLI::App& app, Given& given) {
  CLI::App& repair = *app.add_subcommand(
      "repair", "Compare the stock gate with the database, and build it anew from there");
  RepairOptions& options = given.repair;
  repair.add_option("--db", options.database, "The database")->required()->type_name("URL");
  repair.add_option("--stock", options.stock, kStockHelp)->required()->type_name("URL");
  repair.add_flag("--dry-run", options.is_dry, "Only compare");
  return repair;
}

CLI::App& add_serve(CLI::App& app, Given& given) {
  CLI::App& serve = *app.add_subcommand("serve", "Run the order backend in the foreground");
  ServeOptions& options = given.serve;
  serve.add_option("--listen", given.listen, "Where: IPV4:PORT, [IPV6]:PORT or unix:PATH")
      ->required()
      ->type_name("ADDRESS");
  add_places(serve, options);
  serve.add_option("--name", options.name, "What X-Backend says; by default the listen address");
  serve.add_flag("--async", options.is_async,
                 "Answer 202: the order is written, and goes on in the background");
  serve.add_flag("--allow-restock", options.allow_restock, "Let clients add stock");
  serve
      .add_option("--seed", given.seed_file,
                  "The products of a new database, as GET /products shows them")
      ->type_name("FILE");
  serve.add_option("--delay", given.delay_ms, "Wait so many ms before each request is served")
      ->check(CLI::Range(0, 600'000))
      ->type_name("MS");
  serve.add_option("--fail-rate", options.fail_rate, "Answer this share of requests 503")
      ->type_name("0..1");
  serve.add_option("--user-limit", options.user_limit, "Most orders of one user that did not fail")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N");
  serve.add_option("--rate-limit", given.rate_limit, "Most orders a second in this process")
      ->type_name("N/s");
  add_serve_gate(serve, given);
  serve
      .add_option("--purge", given.purge,
                  "Admin API of another host's sluice, to purge there what is sold out or "
                  "restocked: http://HOST:PORT or unix:/PATH; may be repeated")
      ->allow_extra_args(false)
      ->type_name("ADMIN-URL");
  return serve;
}

CLI::App& add_work(CLI::App& app, Given& given) {
  CLI::App& work = *app.add_subcommand("work", "Work off events: orders are paid and shipped");
  WorkOptions& options = given.work;
  add_places(work, options);
  work.add_option("--name", options.name, "What the worker calls itself");
  work.add_option("--fail-payments", options.fail_payments,
                  "Payment fails for this share of orders; their units go back to the stock")
      ->type_name("0..1");
  work.add_option("--attempts", options.most_attempts,
                  "How often an event without its order is tried before it is parked")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  work.add_option("--stock", options.stock,
                  "The stock gate of serve: it is told of units that come back")
      ->type_name("URL");
  return work;
}

// A check and the option it is about; the first that has something to say is told.
struct Check {
  const char* option;
  std::function<std::string()> run;
};

std::string first_problem(const std::vector<Check>& checks) {
  for (const Check& check : checks) {
    const std::string what = check.run();
    if (!what.empty()) return fmt::format("{}: {}", check.option, what);
  }
  return {};
}

// Turns texts into values; "" or "--option: what is wrong".
std::string understand_serve(Given& given) {
  ServeOptions& options = given.serve;
  options.delay = std::chrono::milliseconds(given.delay_ms);
  options.seed = default_seed();
  options.gate.hold = std::chrono::milliseconds(given.stock_hold_ms);
  const auto seed = [&] {
    return given.seed_file.empty() ? std::string() : check_seed_file(given.seed_file, &options);
  };
  const auto rate = [&] {
    return given.rate_limit.empty() ? std::string()
                                    : check_rate(given.rate_limit, &options.rate_limit);
  };
  return first_problem({{"--listen", [&] { return check_listen(given.listen, &options.listen); }},
                        {"--db", [&] { return database_url_problem(options.database); }},
                        {"--queue", [&] { return queue_url_problem(options.queue); }},
                        {"--stock", [&] { return stock_url_problem(options.gate.url); }},
                        {"--seed", seed},
                        {"--fail-rate", [&] { return check_share(options.fail_rate); }},
                        {"--rate-limit", rate},
                        {"--purge", [&] { return check_purge(given.purge, &options.purge); }},
                        {"--name", [&] { return check_name(options.name); }}});
}

std::string understand_work(const WorkOptions& options) {
  return first_problem({{"--db", [&] { return database_url_problem(options.database); }},
                        {"--queue", [&] { return queue_url_problem(options.queue); }},
                        {"--stock", [&] { return stock_url_problem(options.stock); }},
                        {"--fail-payments", [&] { return check_share(options.fail_payments); }},
                        {"--name", [&] { return check_name(options.name); }}});
}

std::string understand_repair(const RepairOptions& options) {
  const auto stock = [&] {
    return options.stock.empty() ? "a URL is needed" : stock_url_problem(options.stock);
  };
  return first_problem(
      {{"--db", [&] { return database_url_problem(options.database); }}, {"--stock", stock}});
}

CommandLine usage_error(const std::string& problem) {
  fmt::print(stderr, "sluice-orders: {}\nRun sluice-orders --help for usage.\n", problem);
  return {CommandLine::Action::exit, 2, {}, {}, {}};
}

}  // namespace

CommandLine read_command_line(int argc, char** argv) {
  CLI::App app("The sample order backend of sluice: sells exactly what is in stock.");
  app.name("sluice-orders");
  app.set_version_flag("--version", fmt::format("sluice-orders {}", kVersion));
  app.require_subcommand(1);
  Given given;
  const CLI::App& serve = add_serve(app, given);
  add_work(app, given);
  const CLI::App& repair = add_repair(app, given);

  try {  // CLI11 reports by exceptions
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return {};
    }
    return usage_error(error.what());
  }
  const CommandLine::Action action = serve.parsed()    ? CommandLine::Action::serve
                                     : repair.parsed() ? CommandLine::Action::repair
                                                       : CommandLine::Action::work;
  const std::string problem = action == CommandLine::Action::serve ? understand_serve(given)
                              : action == CommandLine::Action::repair
                                  ? understand_repair(given.repair)
                                  : understand_work(given.work);
  if (!problem.empty()) return usage_error(problem);
  return {action, 0, std::move(given.serve), std::move(given.work), std::move(given.repair)};
}

}  // namespace sluice::orders
