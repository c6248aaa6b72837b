#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "sluice/base/units.h"
#include "sluice/server/cli.h"

namespace sluice::server {

namespace {

using Json = nlohmann::json;
using Line = std::vector<std::string>;

constexpr std::string_view kNumberColumns[] = {
    "CONNECTIONS", "WEIGHT", "IN FLIGHT", "REQUESTS", "FAILURES", "REQ/S",  "STATUS",
    "BYTES",       "AGE",    "TTL",       "TAGS",     "HITS",     "MISSES", "RATIO"};

const Json& at(const Json& json, const char* key) {
  static const Json none;
  const auto it = json.is_object() ? json.find(key) : json.end();
  return it == json.end() ? none : *it;
}

std::string text(const Json& json, const char* key) {
  const Json& value = at(json, key);
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? std::string("-") : value.dump();
}

uint64_t number(const Json& json, const char* key) {
  const Json& value = at(json, key);
  return value.is_number_unsigned() ? value.get<uint64_t>() : 0;
}

double real(const Json& json, const char* key) {
  const Json& value = at(json, key);
  return value.is_number() ? value.get<double>() : 0;
}

std::string since_start(uint64_t seconds) {
  const uint64_t days = seconds / 86400, hours = seconds / 3600 % 24, minutes = seconds / 60 % 60;
  if (days > 0) return fmt::format("{}d {}h", days, hours);
  if (hours > 0) return fmt::format("{}h {}m", hours, minutes);
  if (minutes > 0) return fmt::format("{}m {}s", minutes, seconds % 60);
  return fmt::format("{}s", seconds);
}

std::string heading(const Json& status) {
  const uint64_t workers = number(status, "workers");
  std::string line =
      fmt::format("sluice {}, up {}, {} worker{}, {}, generation {}\n", text(status, "version"),
                  since_start(number(status, "uptime_s")), workers, workers == 1 ? "" : "s",
                  text(status, "state"), number(status, "generation"));
  for (const Json& reason : at(status, "not_ready")) {
    if (reason.is_string()) line += "not ready: " + reason.get<std::string>() + "\n";
  }
  const Json& reload = at(status, "last_reload");
  if (reload.is_object() && at(reload, "ok") == false) {
    line +=
        fmt::format("the reload at {} failed; its problems are in the log\n", text(reload, "at"));
  }
  return line;
}

std::string listeners(const Json& status) {
  std::vector<Line> lines{{"LISTENER", "BIND", "CONNECTIONS"}};
  for (const Json& each : at(status, "listeners")) {
    lines.push_back({text(each, "name"), text(each, "bind"), text(each, "connections")});
  }
  return align(lines);
}

std::string check_text(const Json& endpoint) {
  const Json& check = at(endpoint, "last_check");
  const Json& ok = at(check, "ok");
  return ok.is_boolean() ? (ok.get<bool>() ? "ok: " : "bad: ") + text(check, "text")
                         : text(check, "text");
}

std::string state_text(const Json& endpoint) {
  std::string state = text(endpoint, "state");
  if (at(endpoint, "ejected") == true) state += ", ejected";
  if (at(endpoint, "backup") == true) state += ", backup";
  return state;
}

const Json* find_endpoint(const Json& status, const std::string& pool, const std::string& name) {
  for (const Json& each : at(status, "pools")) {
    if (text(each, "name") != pool) continue;
    for (const Json& endpoint : at(each, "endpoints")) {
      if (text(endpoint, "name") == name) return &endpoint;
    }
  }
  return nullptr;
}

// `before` may be null: then there are no rates.
std::string endpoints(const Json& status, const Json& before, double seconds) {
  const bool has_rates = before.is_object() && seconds > 0;
  Line head{"POOL", "ENDPOINT", "ADDRESS", "STATE", "WEIGHT", "IN FLIGHT", "REQUESTS", "FAILURES"};
  if (has_rates) head.emplace_back("REQ/S");
  head.emplace_back("LAST CHECK");
  std::vector<Line> lines{head};
  for (const Json& pool : at(status, "pools")) {
    const std::string pool_name = text(pool, "name");
    for (const Json& each : at(pool, "endpoints")) {
      Line line{pool_name,
                text(each, "name"),
                text(each, "address"),
                state_text(each),
                text(each, "weight"),
                text(each, "in_flight"),
                text(each, "requests"),
                text(each, "failures")};
      if (has_rates) {
        const Json* old = find_endpoint(before, pool_name, text(each, "name"));
        const uint64_t now = number(each, "requests");
        const uint64_t then = old == nullptr ? now : std::min(now, number(*old, "requests"));
        line.push_back(fmt::format("{:.0f}", static_cast<double>(now - then) / seconds));
      }
      line.push_back(check_text(each));
      lines.push_back(std::move(line));
    }
  }
  return align(lines);
}

std::string traffic(const Json& status) {
  const Json& recent = at(status, "recent");
  const Json& totals = at(status, "totals");
  std::string out = fmt::format(
      "{:.0f} requests/s, p50 {:.2f} ms, p95 {:.2f} ms, p99 {:.2f} ms (last {:.0f} s)\n",
      real(recent, "requests_per_s"), real(recent, "p50_ms"), real(recent, "p95_ms"),
      real(recent, "p99_ms"), real(recent, "seconds"));
  out +=
      fmt::format("{} requests, {} retries", number(totals, "requests"), number(totals, "retries"));
  const Json& errors = at(totals, "errors");
  if (errors.is_object()) {
    for (const auto& [reason, count] : errors.items()) out += ", " + count.dump() + " " + reason;
  }
  return out + "\n";
}

// Nothing where no route has a cache that was asked.
std::string cache_lines(const Json& status) {
  const Json& cache = at(status, "cache");
  std::vector<Line> lines{{"CACHED ROUTE", "HITS", "MISSES", "RATIO"}};
  for (const Json& route : at(cache, "routes")) {
    lines.push_back({text(route, "name"), text(route, "hits"), text(route, "misses"),
                     fmt::format("{:.1f} %", 100 * real(route, "hit_ratio"))});
  }
  const bool is_asked = lines.size() > 1;
  std::string out;
  if (is_asked) {
    out = fmt::format("\n{}cache: {} entries, {} of {}\n", align(lines), number(cache, "entries"),
                      format_size(number(cache, "bytes")), format_size(number(cache, "limit")));
  }
  for (const Json& server : at(cache, "servers")) {
    out += fmt::format("redis {} {} since {}", text(server, "address"), text(server, "state"),
                       text(server, "since"));
    const bool is_well = text(server, "state") == "up";
    if (!is_well) out += ": " + text(server, "error");
    if (const auto waiting = number(server, "purges_waiting"); waiting > 0) {
      out += fmt::format(", {} purges wait for it", waiting);
    }
    out += "\n";
  }
  return out;
}

// Only the words of states, which stand between spaces.
std::string colored(std::string table) {
  constexpr std::pair<std::string_view, std::string_view> kColors[] = {
      {" up ", "32"}, {" down ", "31"}, {" draining ", "33"}, {" disabled ", "33"}};
  for (const auto& [word, color] : kColors) {
    const std::string painted =
        fmt::format(" \x1b[{}m{}\x1b[0m ", color, word.substr(1, word.size() - 2));
    for (size_t i = table.find(word); i != std::string::npos; i = table.find(word, i)) {
      table.replace(i, word.size(), painted);
      i += painted.size();
    }
  }
  return table;
}

}  // namespace

std::string align(const std::vector<Line>& lines) {
  std::vector<size_t> widths(lines.front().size(), 0);
  for (const Line& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string out;
  for (const Line& line : lines) {
    std::string row;
    for (size_t i = 0; i < line.size(); ++i) {
      const bool is_number = std::count(std::begin(kNumberColumns), std::end(kNumberColumns),
                                        std::string_view(lines.front()[i])) > 0;
      row += is_number ? fmt::format("{:>{}}  ", line[i], widths[i])
                       : fmt::format("{:<{}}  ", line[i], widths[i]);
    }
    row.erase(row.find_last_not_of(' ') + 1);
    out += row + "\n";
  }
  return out;
}

std::string status_table(const std::string& status_json, bool color) {
  const Json status = Json::parse(status_json, nullptr, false);
  if (!status.is_object()) return "what answers there is no sluice: its status is no JSON\n";
  std::string pools = endpoints(status, Json(), 0);
  if (color) pools = colored(std::move(pools));
  return heading(status) + traffic(status) + "\n" + listeners(status) + "\n" + pools +
         cache_lines(status);
}

std::string top_screen(const std::string& before, const std::string& now, double seconds) {
  const Json status = Json::parse(now, nullptr, false);
  if (!status.is_object()) return "what answers there is no sluice: its status is no JSON\n";
  const Json earlier = Json::parse(before, nullptr, false);
  return heading(status) + traffic(status) + "\n" + listeners(status) + "\n" +
         colored(endpoints(status, earlier, seconds)) + cache_lines(status);
}

}  // namespace sluice::server
