#include "sluice/orders/postgres/pg_url.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libpq-fe.h>

#include <memory>

#include "sluice/base/strings.h"

namespace sluice::orders {
namespace {

constexpr size_t kMostConnections = 64;

using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

// "" or what is wrong with one of our own options.
std::string read_ours(std::string_view name, std::string_view value, PgAddress& address) {
  if (name == "connections") {
    const auto number = parse_decimal(value);
    if (!number || *number < 1 || *number > kMostConnections) {
      return fmt::format("connections is not 1..{}", kMostConnections);
    }
    address.connections = static_cast<size_t>(*number);
    return {};
  }
  for (std::string_view level : {"read committed", "repeatable read", "serializable"}) {
    std::string dashed(level);
    if (const size_t space = dashed.find(' '); space != std::string::npos) dashed[space] = '-';
    if (value == dashed) return address.isolation = level, std::string();
  }
  return "isolation is not read-committed, repeatable-read or serializable";
}

// Takes our options out of the query, which libpq would refuse.
std::string take_ours(std::string_view url, std::string& rest, PgAddress& address) {
  const size_t mark = url.find('?');
  rest = url.substr(0, mark);
  if (mark == std::string_view::npos) return {};
  char before = '?';
  for (std::string_view part : split(url.substr(mark + 1), '&')) {
    const size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    if (name == "connections" || name == "isolation") {
      const std::string_view value =
          equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
      if (std::string problem = read_ours(name, value, address); !problem.empty()) return problem;
      continue;
    }
    rest += before;
    rest += part;
    before = '&';
  }
  return {};
}

bool is_name(std::string_view host) {
  if (host.empty() || host.front() == '/' || host.front() == '@') return false;
  const std::string text(host);
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, text.c_str(), bytes) != 1 &&
         inet_pton(AF_INET6, text.c_str(), bytes) != 1;
}

std::string value_of(const PgAddress& address, std::string_view name) {
  for (const auto& [keyword, value] : address.options) {
    if (keyword == name) return value;
  }
  return {};
}

std::string text_of(const PgAddress& address) {
  const std::string user = value_of(address, "user");
  std::string host = value_of(address, "host");
  if (host.empty()) host = value_of(address, "hostaddr");
  const std::string port = value_of(address, "port");
  std::string text = "postgres://" + user + (user.empty() ? "" : "@");
  const bool is_socket = !host.empty() && host.front() == '/';
  if (!is_socket) {
    const bool is_v6 = host.find(':') != std::string::npos;
    text += is_v6 ? "[" + host + "]" : host;
    if (!port.empty()) text += ":" + port;
  }
  text += "/" + value_of(address, "dbname");
  if (is_socket) text += "?host=" + host + (port.empty() ? "" : "&port=" + port);
  return text;
}

}  // namespace

bool is_pg_url(std::string_view url) noexcept {
  return url.starts_with("postgres://") || url.starts_with("postgresql://");
}

PgUrl parse_pg_url(std::string_view url) {
  PgUrl parsed;
  PgAddress& address = parsed.address;
  const auto wrong = [&parsed](std::string what) {
    parsed.problem = std::move(what);
    return parsed;
  };
  if (!is_pg_url(url)) return wrong("it is not postgres://HOST/DATABASE");
  std::string rest;
  if (std::string problem = take_ours(url, rest, address); !problem.empty()) return wrong(problem);
  // What libpq has to say may quote the URL, password and all.
  const Options options(PQconninfoParse(rest.c_str(), nullptr), PQconninfoFree);
  if (options == nullptr) return wrong("it is not a URL that libpq can read");
  for (const PQconninfoOption* each = options.get(); each->keyword != nullptr; ++each) {
    if (each->val == nullptr || *each->val == '\0') continue;
    address.options.emplace_back(each->keyword, each->val);
  }
  address.password = value_of(address, "password");
  const std::string host = value_of(address, "host");
  if (host.find(',') != std::string::npos) return wrong("more than one host is not supported");
  const std::string port = value_of(address, "port");
  const auto number = parse_decimal(port);
  if (!port.empty() && (!number || *number < 1 || *number > 65535)) {
    return wrong("the port is not 1..65535");
  }
  if (is_name(host) && value_of(address, "hostaddr").empty()) address.host = host;
  address.text = text_of(address);
  return parsed;
}

}  // namespace sluice::orders
