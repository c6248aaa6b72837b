#include "sluice/redis/address.h"

#include <fmt/format.h>

#include <limits>
#include <optional>

#include "sluice/base/address.h"
#include "sluice/base/strings.h"

namespace sluice::redis {
namespace {

constexpr std::string_view kRedis = "redis://";
constexpr std::string_view kUnix = "unix:";

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool has_two = text[i] == '%' && text.size() - i > 2;
    const int high = has_two ? hex_value(text[i + 1]) : -1;
    const int low = has_two ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      decoded += text[i];
      continue;
    }
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

// As a number up to `most`.
template <typename T>
std::optional<T> number(std::string_view text, uint64_t most = std::numeric_limits<T>::max()) {
  const std::optional<uint64_t> value = parse_decimal(text);
  if (!value || *value > most) return std::nullopt;
  return static_cast<T>(*value);
}

Result<Address> parse_unix(std::string_view text) {
  Address address;
  const size_t mark = text.rfind("?db=");
  if (mark != std::string_view::npos) {
    const auto database = number<uint32_t>(text.substr(mark + 4));
    if (!database) return Error(Errc::kBadConfig, "the database of a Redis URL is not a number");
    address.database = *database;
    text = text.substr(0, mark);
  }
  address.path = std::string(text);
  if (!text.starts_with('/') || !SocketAddress::from_path(text)) {
    return Error(Errc::kBadConfig, "the path of a Redis socket is not absolute or too long");
  }
  return address;
}

void read_login(std::string_view text, Address& address) {
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos) address.user = percent_decoded(text.substr(0, colon));
  address.password =
      percent_decoded(colon == std::string_view::npos ? text : text.substr(colon + 1));
}

Status read_host(std::string_view text, Address& address) {
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && !text.ends_with(']')) {
    const auto port = number<uint16_t>(text.substr(colon + 1));
    if (!port || *port == 0) {
      return Error(Errc::kBadConfig, "the port of a Redis URL is not one");
    }
    address.port = *port;
    text = text.substr(0, colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  if (text.empty()) return Error(Errc::kBadConfig, "a Redis URL has no host");
  address.host = std::string(text);
  return Ok{};
}

}  // namespace

Result<Address> parse_address(std::string_view url) {
  if (url.starts_with(kUnix)) return parse_unix(url.substr(kUnix.size()));
  if (!url.starts_with(kRedis)) {
    return Error(Errc::kBadConfig, "a Redis URL begins with redis:// or unix:/");
  }
  url.remove_prefix(kRedis.size());
  Address address;
  if (const size_t at = url.rfind('@'); at != std::string_view::npos) {
    read_login(url.substr(0, at), address);
    url.remove_prefix(at + 1);
  }
  const size_t slash = url.find('/');
  if (slash != std::string_view::npos && slash + 1 < url.size()) {
    const auto database = number<uint32_t>(url.substr(slash + 1));
    if (!database) return Error(Errc::kBadConfig, "the database of a Redis URL is not a number");
    address.database = *database;
  }
  SL_TRY(auto ok, read_host(url.substr(0, slash), address));
  static_cast<void>(ok);
  return address;
}

std::string Address::to_string() const {
  if (is_unix()) return "unix:" + path;
  const bool is_v6 = host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace sluice::redis
