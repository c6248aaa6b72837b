// Scalars that stand for addresses, and for what a route matches.
#include <arpa/inet.h>

#include <algorithm>

#include "sluice/config/values.h"

namespace sluice::config {

namespace {

constexpr size_t kMaxUnixPath = 107;  // sockaddr_un::sun_path and its NUL

bool is_ip(int family, std::string_view host) {
  unsigned char bytes[16];
  return inet_pton(family, std::string(host).c_str(), bytes) == 1;
}

bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// RFC 1123 section 2.1, and the underscore that container networks use. A last label of digits only
// would be a mistyped IPv4 address.
bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  std::string_view last;
  for (std::string_view label : split(host, '.')) {
    const bool plain =
        std::ranges::all_of(label, [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
    if (!plain || label.empty() || label.size() > 63) return false;
    if (label.starts_with('-') || label.ends_with('-')) return false;
    last = label;
  }
  return !std::ranges::all_of(last, is_digit);
}

// host:port.

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;
  bool bracketed = false;
};

constexpr std::string_view kAddressForm = "an address: HOST:PORT, [IPV6]:PORT or unix:/PATH";

Fault port_fault(std::string_view text, std::string_view port) {
  return {"bad_value", quoted(text) + ": the port " + quoted(port) + " is not in 0 to 65535", {}};
}

// `suggested_port` is for the hint when there is none.
Fault split_host_port(std::string_view text, std::string_view suggested_port, HostPort* out) {
  if (text.find("://") != std::string_view::npos) {
    return bad_value(text, kAddressForm, "leave the scheme out");
  }
  const size_t close = text.starts_with('[') ? text.find(']') : std::string_view::npos;
  out->bracketed = close != std::string_view::npos;
  const size_t colon = out->bracketed ? close + 1 : text.rfind(':');
  const std::string_view host =
      out->bracketed ? text.substr(1, close - 1) : text.substr(0, std::min(colon, text.size()));
  if (!out->bracketed && host.find(':') != std::string_view::npos) {
    return bad_value(text, kAddressForm, "put an IPv6 address into brackets: \"[::1]:80\"");
  }
  if (colon >= text.size()) {
    return {"bad_value", quoted(text) + " has no port",
            "write \"" + std::string(text) + ":" + std::string(suggested_port) + "\""};
  }
  const std::string_view port = text.substr(colon + 1);
  const std::optional<uint64_t> number = parse_decimal(port);
  if (text[colon] != ':') return bad_value(text, kAddressForm);
  if (!number || *number > 65535) return port_fault(text, port);
  out->host = std::string(host);
  out->port = static_cast<uint16_t>(*number);
  return {};
}

Fault read_unix_path(const ReadContext& context, std::string_view text, std::string* path) {
  const std::string_view given = text.substr(std::string_view("unix:").size());
  if (given.empty()) return bad_value(text, "an address: unix: needs a path");
  *path =
      (given.starts_with('/') ? std::string() : std::string(context.folder)) + std::string(given);
  if (path->size() <= kMaxUnixPath) return {};
  return {"out_of_range", quoted(text) + " is too long for a socket (at most 107 bytes)", {}};
}

Fault read_bind_host(std::string_view text, const HostPort& at) {
  if (is_ip(at.bracketed ? AF_INET6 : AF_INET, at.host)) return {};
  const std::string port = ":" + std::to_string(at.port);
  std::string hint;
  if (at.host == "localhost") hint = "write \"127.0.0.1" + port + "\" or \"[::1]" + port + "\"";
  if (at.host.empty() || at.host == "*") {
    hint = "write \"0.0.0.0" + port + "\" for all IPv4 addresses, \"[::]" + port + "\" for all";
  }
  return bad_value(text, "an address to bind: IPV4:PORT, [IPV6]:PORT, unix:/PATH or systemd:NAME",
                   hint);
}

Fault read_bind(const ReadContext& context, std::string_view text, void* value) {
  BindAddress bind;
  Fault fault;
  if (text.starts_with("unix:")) {
    bind.kind = BindAddress::Kind::kUnix;
    fault = read_unix_path(context, text, &bind.path);
  } else if (text.starts_with("systemd:")) {
    bind.kind = BindAddress::Kind::kSystemd;
    bind.path = std::string(text.substr(8));
    fault = check_name(bind.path);
  } else if (!text.empty() && std::ranges::all_of(text, is_digit)) {
    fault = bad_value(text, "an address to bind", "write \"0.0.0.0:" + std::string(text) + "\"");
  } else {
    HostPort at;
    fault = split_host_port(text, "80", &at);
    if (!fault) fault = read_bind_host(text, at);
    bind.host = at.host;
    bind.port = at.port;
  }
  if (!fault) *static_cast<BindAddress*>(value) = std::move(bind);
  return fault;
}

std::optional<std::string> write_bind(const Row&, const void* value) {
  const auto& bind = *static_cast<const BindAddress*>(value);
  if (bind.host.empty() && bind.path.empty()) return std::nullopt;
  return bind.text();
}

Fault read_endpoint_address(const ReadContext& context, std::string_view text, void* value) {
  EndpointAddress address;
  if (text.starts_with("unix:")) {
    address.kind = EndpointAddress::Kind::kUnix;
    Fault fault = read_unix_path(context, text, &address.path);
    if (!fault) *static_cast<EndpointAddress*>(value) = std::move(address);
    return fault;
  }
  HostPort at;
  if (Fault fault = split_host_port(text, "80", &at)) return fault;
  if (at.port == 0) return {"out_of_range", quoted(text) + ": port 0 cannot be connected to", {}};
  address.host = lower(at.host);
  address.port = at.port;
  if (!is_ip(at.bracketed ? AF_INET6 : AF_INET, at.host)) {
    if (at.bracketed || !is_host_name(at.host)) return bad_value(text, kAddressForm);
    address.kind = EndpointAddress::Kind::kName;
  }
  *static_cast<EndpointAddress*>(value) = std::move(address);
  return {};
}

std::optional<std::string> write_endpoint_address(const Row&, const void* value) {
  const auto& address = *static_cast<const EndpointAddress*>(value);
  if (address.host.empty() && address.path.empty()) return std::nullopt;
  return address.text();
}

// The block that somebody meant who left host bits set; empty if the text is no block at all.
std::string without_host_bits(std::string_view text) {
  const size_t slash = text.find('/');
  std::optional<Cidr> host = parse_cidr(text.substr(0, slash));
  if (!host || slash == std::string_view::npos) return {};
  const std::optional<uint64_t> bits = parse_decimal(text.substr(slash + 1));
  if (!bits || *bits > (host->is_v4 ? 32 : 128)) return {};
  host->prefix = static_cast<uint8_t>(*bits + (host->is_v4 ? 96 : 0));
  for (unsigned bit = host->prefix; bit < 128; ++bit) {
    host->bytes[bit / 8] &= static_cast<uint8_t>(~(0x80U >> bit % 8));
  }
  return host->text();
}

Fault read_cidr(const ReadContext&, std::string_view text, void* value) {
  if (const std::optional<Cidr> cidr = parse_cidr(text)) {
    *static_cast<Cidr*>(value) = *cidr;
    return {};
  }
  const std::string meant = without_host_bits(text);
  return bad_value(text, "an address or block such as 10.0.0.0/8 or 2001:db8::/32",
                   meant.empty() ? "" : "did you mean \"" + meant + "\"?");
}
std::optional<std::string> write_cidr(const Row&, const void* value) {
  return static_cast<const Cidr*>(value)->text();
}

// Small languages.

std::optional<uint16_t> status(std::string_view text) {
  const std::optional<uint64_t> number = parse_decimal(text);
  if (!number || *number < 100 || *number > 599) return std::nullopt;
  return static_cast<uint16_t>(*number);
}

Fault read_status_range(const ReadContext&, std::string_view text, void* value) {
  const size_t dash = text.find('-');
  const std::optional<uint16_t> from = status(text.substr(0, dash));
  const std::optional<uint16_t> to =
      dash == std::string_view::npos ? from : status(text.substr(dash + 1));
  if (!from || !to || *from > *to) {
    return bad_value(text, "a status or range of them in 100 to 599, such as 200 or 200-399");
  }
  *static_cast<StatusRange*>(value) = {*from, *to};
  return {};
}
std::optional<std::string> write_status_range(const Row&, const void* value) {
  const auto& range = *static_cast<const StatusRange*>(value);
  const std::string from = std::to_string(range.from);
  return range.from == range.to ? from : from + "-" + std::to_string(range.to);
}

Fault read_hash_by(const ReadContext&, std::string_view text, void* value) {
  HashBy by;
  const std::string_view name = text.substr(std::min(text.find(':') + 1, text.size()));
  if (text == "client") {
    by.kind = HashBy::Kind::kClient;
  } else if (text.starts_with("header:") && !check_field_name(name)) {
    by.kind = HashBy::Kind::kHeader;
    by.name = lower(name);
  } else if (text.starts_with("cookie:") && !check_field_name(name)) {  // both are tokens
    by.kind = HashBy::Kind::kCookie;
    by.name = std::string(name);
  } else if (text != "path") {
    return bad_value(text, "one of path, client, header:NAME, cookie:NAME");
  }
  *static_cast<HashBy*>(value) = std::move(by);
  return {};
}
std::optional<std::string> write_hash_by(const Row&, const void* value) {
  const auto& by = *static_cast<const HashBy*>(value);
  switch (by.kind) {
    case HashBy::Kind::kPath:
      return "path";
    case HashBy::Kind::kClient:
      return "client";
    case HashBy::Kind::kHeader:
      return "header:" + by.name;
    case HashBy::Kind::kCookie:
      return "cookie:" + by.name;
  }
  return std::nullopt;
}

// Matches.

Fault read_match_host(const ReadContext&, std::string_view text, void* value) {
  const bool is_suffix = text.starts_with("*.");
  const std::string_view name = is_suffix ? text.substr(2) : text;
  const bool is_literal =
      !is_suffix &&
      (is_ip(AF_INET, name) || (name.size() > 2 && name.front() == '[' && name.back() == ']' &&
                                is_ip(AF_INET6, name.substr(1, name.size() - 2))));
  if (!is_literal && !is_host_name(name)) {
    std::string hint;
    if (text == "*") hint = "leave host out to match any";
    if (name.find(':') != std::string_view::npos) hint = "leave the port out";
    return bad_value(text, "a host name, or *.SUFFIX", hint);
  }
  auto& match = *static_cast<Match*>(value);
  match.host_kind = is_suffix ? Match::HostKind::kSuffix : Match::HostKind::kExact;
  match.host = lower(is_suffix ? text.substr(1) : text);
  return {};
}
std::optional<std::string> write_match_host(const Row&, const void* value) {
  const auto& match = *static_cast<const Match*>(value);
  if (match.host_kind == Match::HostKind::kAny) return std::nullopt;
  return (match.host_kind == Match::HostKind::kSuffix ? "*" : "") + match.host;
}

bool is_unreserved(char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~'; }

// Paths are compared after unreserved characters were decoded and dot segments removed (RFC 3986
// section 6.2.2), so a pattern that is not in that form would never match.
Fault check_pattern(std::string_view text) {
  if (!text.starts_with('/')) return bad_value(text, "a path: it has to start with /");
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c <= ' ' || c >= 0x7f || c == '?' || c == '#') {
      return bad_value(text, "a path: spaces, ?, # and non-ASCII characters cannot stand in it");
    }
    if (c != '%') continue;
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high < 0 ? -1 : hex_value(text[i + 2]);
    if (low < 0) return bad_value(text, "a path: % has to be followed by two hexadecimal digits");
    const char decoded = static_cast<char>(high * 16 + low);
    if (is_unreserved(decoded)) {
      return bad_value(
          text, "a path as it is compared",
          "write " + quoted(std::string(1, decoded)) + " for " + std::string(text.substr(i, 3)));
    }
  }
  for (std::string_view segment : split(text, '/')) {
    if (segment == "." || segment == "..") {
      return bad_value(text, "a path: dot segments are removed before it is compared");
    }
  }
  return {};
}

Fault read_match_path(const ReadContext&, std::string_view text, void* value) {
  if (Fault fault = check_pattern(text)) return fault;
  auto& match = *static_cast<Match*>(value);
  match.path = text == "/" ? std::string() : std::string(text);
  match.path_kind = text == "/"           ? Match::PathKind::kAny
                    : text.ends_with('/') ? Match::PathKind::kBelow
                                          : Match::PathKind::kSegment;
  return {};
}
std::optional<std::string> write_match_path(const Row&, const void* value) {
  const auto& match = *static_cast<const Match*>(value);
  if (match.path_kind == Match::PathKind::kExact) return std::nullopt;
  return match.path_kind == Match::PathKind::kAny ? "/" : match.path;
}

Fault read_match_exact(const ReadContext&, std::string_view text, void* value) {
  if (Fault fault = check_pattern(text)) return fault;
  auto& match = *static_cast<Match*>(value);
  match.path = std::string(text);
  match.path_kind = Match::PathKind::kExact;
  return {};
}
std::optional<std::string> write_match_exact(const Row&, const void* value) {
  const auto& match = *static_cast<const Match*>(value);
  if (match.path_kind != Match::PathKind::kExact) return std::nullopt;
  return match.path;
}

Fault read_prefix(const ReadContext&, std::string_view text, void* value) {
  if (Fault fault = check_pattern(text)) return fault;
  const std::string_view prefix = text.substr(0, text.find_last_not_of('/') + 1);
  if (prefix.empty()) return bad_value(text, "a prefix that could be stripped");
  *static_cast<std::string*>(value) = std::string(prefix);
  return {};
}
std::optional<std::string> write_prefix(const Row&, const void* value) {
  const auto& prefix = *static_cast<const std::string*>(value);
  return prefix.empty() ? std::nullopt : std::optional(prefix);
}

}  // namespace

const ValueType kBindValue{"an address to bind", read_bind, write_bind};
const ValueType kEndpointAddressValue{"an address", read_endpoint_address, write_endpoint_address};
const ValueType kCidrValue{"an address or block", read_cidr, write_cidr};
const ValueType kStatusRangeValue{
    "a status or range", read_status_range, write_status_range, nullptr, nullptr, "string|integer"};
const ValueType kHashByValue{"path, client, header:NAME or cookie:NAME",
                             read_hash_by,
                             write_hash_by,
                             nullptr,
                             nullptr,
                             "string",
                             "^(path|client|(header|cookie):.+)$"};
const ValueType kMatchHostValue{"a host or *.SUFFIX", read_match_host, write_match_host};
const ValueType kMatchPathValue{
    "a path", read_match_path, write_match_path, nullptr, nullptr, "string", "^/"};
const ValueType kMatchExactValue{
    "a path", read_match_exact, write_match_exact, nullptr, nullptr, "string", "^/"};
const ValueType kPrefixValue{"a path", read_prefix, write_prefix, nullptr, nullptr, "string", "^/"};

}  // namespace sluice::config
