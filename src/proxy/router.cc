#include "sluice/proxy/router.h"

#include <algorithm>

#include "sluice/base/strings.h"
#include "sluice/http/uri.h"

namespace sluice::proxy {

namespace {

using config::Match;

std::string_view without_brackets(std::string_view host) noexcept {
  const bool has_brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  return has_brackets ? host.substr(1, host.size() - 2) : host;
}

// A trailing dot only says that the name is absolute: it is the same host.
std::string_view host_of(std::string_view authority) noexcept {
  std::string_view host = http::split_authority(authority).host;
  if (host.size() > 1 && host.back() == '.') host.remove_suffix(1);
  return without_brackets(host);
}

bool path_matches(const Match& match, std::string_view path) noexcept {
  switch (match.path_kind) {
    case Match::PathKind::kAny:
      return true;
    case Match::PathKind::kSegment:
    case Match::PathKind::kBelow:
      return http::path_has_prefix(path, match.path);
    case Match::PathKind::kExact:
      return path == match.path;
  }
  return false;
}

bool host_matches(const Match& match, std::string_view host) noexcept {
  switch (match.host_kind) {
    case Match::HostKind::kAny:
      return true;
    case Match::HostKind::kExact:
      return equals_ignore_case(host, without_brackets(match.host));
    case Match::HostKind::kSuffix:
      return host.size() > match.host.size() &&
             equals_ignore_case(host.substr(host.size() - match.host.size()), match.host);
  }
  return false;
}

bool method_matches(const Match& match, std::string_view method) noexcept {
  return std::find(match.methods.begin(), match.methods.end(), method) != match.methods.end();
}

bool has_field(const http::FieldList& fields, const config::HeaderMatch& wanted) noexcept {
  return std::any_of(fields.begin(), fields.end(), [&wanted](const http::Field& field) {
    return field.value == wanted.value && equals_ignore_case(field.name, wanted.name);
  });
}

bool headers_match(const Match& match, const http::FieldList& fields) noexcept {
  return std::all_of(
      match.headers.begin(), match.headers.end(),
      [&fields](const config::HeaderMatch& wanted) { return has_field(fields, wanted); });
}

}  // namespace

std::optional<uint32_t> find_route(const config::Snapshot& snapshot, const http::RequestHead& head,
                                   std::string_view path) noexcept {
  std::string_view host;
  if (snapshot.any_asks_for(config::kAsksHost)) host = host_of(head.authority);
  for (const config::CompiledRoute& route : snapshot.compiled()) {
    const Match& match = route.route->match;
    if (route.asks_for(config::kAsksPath) && !path_matches(match, path)) continue;
    if (route.asks_for(config::kAsksMethod) && !method_matches(match, head.method_text)) continue;
    if (route.asks_for(config::kAsksHost) && !host_matches(match, host)) continue;
    if (route.asks_for(config::kAsksHeaders) && !headers_match(match, head.fields)) continue;
    return route.index;
  }
  return std::nullopt;
}

std::vector<uint32_t> routes_of_url(const config::Snapshot& snapshot, std::string_view authority,
                                    std::string_view path) {
  std::vector<uint32_t> routes;
  const std::string_view host = host_of(authority);
  for (const config::CompiledRoute& route : snapshot.compiled()) {
    const Match& match = route.route->match;
    if (route.asks_for(config::kAsksPath) && !path_matches(match, path)) continue;
    if (route.asks_for(config::kAsksMethod) && !method_matches(match, "GET")) continue;
    if (route.asks_for(config::kAsksHost) && !host_matches(match, host)) continue;
    routes.push_back(route.index);
    if (!route.asks_for(config::kAsksHeaders)) break;
  }
  return routes;
}

bool matches_host(const config::Match& match, std::string_view authority) noexcept {
  return host_matches(match, host_of(authority));
}

}  // namespace sluice::proxy
