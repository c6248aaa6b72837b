#include "sluice/orders/options.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "sluice/base/strings.h"
#include "sluice/orders/request_json.h"
#include "sluice/orders/version.h"

namespace sluice::orders {
namespace {

// What was given, before it is understood.
struct Given {
  std::string listen, database, queue = "embedded", seed_file;
  int64_t delay_ms = 0;
  ServeOptions options;
};

constexpr const char* kLater = "comes in a later version";

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

std::string check_database(const std::string& text, std::string* path) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (text.starts_with("postgres://") || text.starts_with("postgresql://")) {
    return fmt::format("PostgreSQL {}; use sqlite:FILE", kLater);
  }
  if (!text.starts_with(kSqlite)) return text + " is not sqlite:FILE";
  *path = text.substr(kSqlite.size());
  // Several connections work on it, so it must be a file.
  if (path->empty() || *path == ":memory:") return text + " names no file";
  return {};
}

std::string check_queue(const std::string& text) {
  if (text == "embedded") return {};
  const size_t end = text.find("://");
  const std::string scheme = text.substr(0, end);
  if (end != std::string::npos && (scheme == "amqp" || scheme == "amqps" || scheme == "kafka")) {
    return fmt::format("{}:// {}; use embedded", scheme, kLater);
  }
  return text + " is not embedded";
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

// An option that is known and does nothing yet.
void add_later(CLI::App& app, const char* name, const char* help) {
  app.add_option_function<std::vector<std::string>>(
         name,
         [name](const std::vector<std::string>&) {
           throw CLI::ValidationError(name, kLater);  // "--name: comes in a later version"
         },
         fmt::format("{} ({})", help, kLater))
      ->expected(0, 1);
}

void add_serve(CLI::App& app, Given& given) {
  CLI::App& serve = *app.add_subcommand("serve", "Run the order backend in the foreground");
  ServeOptions& options = given.options;
  serve.add_option("--listen", given.listen, "Where: IPV4:PORT, [IPV6]:PORT or unix:PATH")
      ->required()
      ->type_name("ADDRESS");
  serve.add_option("--db", given.database, "The database: sqlite:FILE; made when it is missing")
      ->required()
      ->type_name("URL");
  serve.add_option("--queue", given.queue, "The queue of events: embedded")
      ->type_name("URL")
      ->capture_default_str();
  serve.add_option("--name", options.name, "What X-Backend says; by default the listen address");
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
  add_later(serve, "--stock", "A stock gate in Redis");
  add_later(serve, "--async", "Answer 202 before the order is written");
  add_later(serve, "--user-limit", "Most orders of a user");
  add_later(serve, "--rate-limit", "Most orders a second");
  add_later(serve, "--purge", "Purge caches elsewhere");
}

// Turns texts into values; "" or "--option: what is wrong".
std::string understand(Given& given) {
  const auto wrong = [](const char* option, const std::string& what) {
    return what.empty() ? what : fmt::format("{}: {}", option, what);
  };
  ServeOptions& options = given.options;
  std::string problem = wrong("--listen", check_listen(given.listen, &options.listen));
  if (problem.empty()) problem = wrong("--db", check_database(given.database, &options.database));
  if (problem.empty()) problem = wrong("--queue", check_queue(given.queue));
  if (problem.empty() && !given.seed_file.empty()) {
    problem = wrong("--seed", check_seed_file(given.seed_file, &options));
  }
  if (problem.empty() && !(options.fail_rate >= 0 && options.fail_rate <= 1)) {
    problem = fmt::format("--fail-rate: {} is not in 0..1", options.fail_rate);
  }
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (problem.empty() && std::ranges::any_of(options.name, is_control)) {
    problem = "--name: control characters cannot stand in a header field";
  }
  options.delay = std::chrono::milliseconds(given.delay_ms);
  if (!options.has_seed_file) options.seed = default_seed();
  return problem;
}

CommandLine usage_error(const std::string& problem) {
  fmt::print(stderr, "sluice-orders: {}\nRun sluice-orders --help for usage.\n", problem);
  return {CommandLine::Action::exit, 2, {}};
}

}  // namespace

CommandLine read_command_line(int argc, char** argv) {
  CLI::App app("The sample order backend of sluice: sells exactly what is in stock.");
  app.name("sluice-orders");
  app.set_version_flag("--version", fmt::format("sluice-orders {}", kVersion));
  app.require_subcommand(1);
  Given given;
  add_serve(app, given);
  CLI::App& work = *app.add_subcommand("work", fmt::format("Work off events ({})", kLater));
  work.allow_extras();

  try {  // CLI11 reports by exceptions
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      app.exit(error);
      return {};
    }
    return usage_error(error.what());
  }
  if (work.parsed()) return usage_error(fmt::format("work: {}", kLater));
  if (std::string problem = understand(given); !problem.empty()) return usage_error(problem);
  return {CommandLine::Action::serve, 0, std::move(given.options)};
}

}  // namespace sluice::orders
