#include "sluice/orders/rabbitmq/amqp_url.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sluice/base/strings.h"

namespace sluice::orders {
namespace {

constexpr std::string_view kScheme = "amqp://";
constexpr std::string_view kTlsScheme = "amqps://";
constexpr size_t kLongestName = 255;  // AMQP 0-9-1, 4.2.5.3: short strings

// "%2F" becomes "/"; nullopt for a % without two digits, for %00, and for what never stands in a
// URL unencoded (RFC 3986 section 2).
std::optional<std::string> decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte <= 0x20 || byte >= 0x7F) return std::nullopt;
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z') ||
                          std::string_view("-._~").find(c) != std::string_view::npos;
    out += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned>(c) & 0xFFU);
  }
  return out;
}

std::string read_user(std::string_view text, AmqpAddress& address) {
  const size_t colon = text.find(':');
  auto user = decode(text.substr(0, colon));
  if (!user || user->empty()) return "the user is empty or not percent-encoded";
  address.user = *std::move(user);
  if (colon == std::string_view::npos) return {};
  const std::string_view rest = text.substr(colon + 1);
  auto password = decode(rest);
  if (!password || rest.find(':') != std::string_view::npos) {
    return "the password is not percent-encoded";
  }
  address.password = *std::move(password);
  return {};
}

// Splits "[::1]:5672" or "host:5672".
std::string read_host(std::string_view text, AmqpAddress& address) {
  std::string_view port;
  bool has_port = false;
  const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return "the host begins with [ and has no ]";
  const size_t colon = text.find(':', bracket);
  if (colon != std::string_view::npos) {
    has_port = true;
    port = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  if (has_port) {
    const auto number = parse_decimal(port);
    if (!number || *number < 1 || *number > 65535) return "the port is not 1..65535";
    address.port = static_cast<uint16_t>(*number);
  }
  if (bracket > 0) {
    address.host = std::string(text.substr(1, bracket - 1));
    in6_addr bytes;
    const bool is_v6 =
        bracket + 1 == text.size() && inet_pton(AF_INET6, address.host.c_str(), &bytes) == 1;
    return is_v6 ? std::string() : "between [ and ] is no IPv6 address";
  }
  auto host = decode(text);
  if (!host || host->empty() || host->size() > kLongestName) return "there is no host";
  const auto is_odd = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == '/'; };
  if (std::ranges::any_of(*host, is_odd)) return "the host is no name";
  address.host = *std::move(host);
  return {};
}

std::string read_vhost(std::string_view text, AmqpAddress& address) {
  if (text.empty()) return {};
  auto vhost = decode(text);
  if (!vhost || text.find_first_of("/@") != std::string_view::npos) {
    return "the virtual host is not percent-encoded (/ is %2F)";
  }
  if (vhost->size() > kLongestName) return "the virtual host is longer than 255 bytes";
  address.vhost = *std::move(vhost);
  return {};
}

std::string read_option(std::string_view option, AmqpAddress& address) {
  const size_t equals = option.find('=');
  if (equals == std::string_view::npos) return "an option has no value";
  const std::string_view name = option.substr(0, equals);
  const auto number = parse_decimal(option.substr(equals + 1));
  const auto is_in = [&number](uint64_t most) { return number && *number >= 1 && *number <= most; };
  if (name == "shards") {
    if (!is_in(64)) return "shards is not 1..64";
    address.shards = static_cast<size_t>(*number);
  } else if (name == "prefetch") {
    if (!is_in(1000)) return "prefetch is not 1..1000";
    address.prefetch = static_cast<size_t>(*number);
  } else if (name == "heartbeat") {
    if (!is_in(60)) return "heartbeat is not 1..60 (seconds)";
    address.heartbeat = std::chrono::seconds(*number);
  } else {
    return "unknown option; there are shards, prefetch and heartbeat";
  }
  return {};
}

std::string read_options(std::string_view text, AmqpAddress& address) {
  for (const std::string_view option : split(text, '&')) {
    if (std::string problem = read_option(option, address); !problem.empty()) return problem;
  }
  return {};
}

std::string text_of(const AmqpAddress& address) {
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return fmt::format("amqp://{}@{}:{}/{}", encode(address.user),
                     is_v6 ? "[" + address.host + "]" : encode(address.host), address.port,
                     address.vhost == "/" ? std::string() : encode(address.vhost));
}

// `rest` is what follows the scheme.
std::string read_parts(std::string_view rest, AmqpAddress& address) {
  if (rest.find('#') != std::string_view::npos) return "a # has to be written %23";
  const size_t mark = rest.find('?');
  if (mark != std::string_view::npos) {
    std::string problem = read_options(rest.substr(mark + 1), address);
    if (!problem.empty()) return problem;
  }
  rest = rest.substr(0, mark);
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    std::string problem = read_vhost(rest.substr(slash + 1), address);
    if (!problem.empty()) return problem;
  }
  rest = rest.substr(0, slash);
  const size_t at = rest.find('@');
  if (at != std::string_view::npos) {
    if (rest.find('@', at + 1) != std::string_view::npos) return "an @ has to be written %40";
    std::string problem = read_user(rest.substr(0, at), address);
    if (!problem.empty()) return problem;
    rest = rest.substr(at + 1);
  }
  return read_host(rest, address);
}

}  // namespace

bool is_amqp_url(std::string_view url) noexcept {
  return url.starts_with(kScheme) || url.starts_with(kTlsScheme);
}

AmqpUrl parse_amqp_url(std::string_view url) {
  AmqpUrl parsed;
  if (url.starts_with(kTlsScheme)) {
    parsed.problem = "amqps:// is not supported; use amqp:// in a private network or a tunnel";
  } else if (!url.starts_with(kScheme)) {
    parsed.problem = "it is not amqp://USER:PASSWORD@HOST:PORT/VHOST";
  } else {
    parsed.problem = read_parts(url.substr(kScheme.size()), parsed.address);
  }
  if (!parsed.problem.empty()) {
    parsed.address = {};
    return parsed;
  }
  parsed.address.text = text_of(parsed.address);
  return parsed;
}

}  // namespace sluice::orders
