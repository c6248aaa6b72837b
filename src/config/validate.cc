// What no single section can see: names, references, what can never happen.
#include <algorithm>
#include <map>

#include "sluice/base/strings.h"
#include "sluice/base/units.h"
#include "sluice/config/reader.h"
#include "sluice/config/values.h"

namespace sluice::config {

namespace {

std::string indexed(std::string_view list, size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

class Validator {
 public:
  Validator(const Origins& origins, Report& report, Config& config)
      : origins_(origins), report_(report), config_(config) {}

  void run() {
    check_listeners();
    check_admin();
    for (Pool& pool : config_.pools) check_pool(pool);
    make_default_route();
    name_routes();
    resolve_pools();
    warn_of_unreachable_routes();
    warn_of_unused_pools();
  }

 private:
  void check_listeners();
  void check_admin();
  void check_pool(Pool& pool);
  void check_endpoints(Pool& pool, const std::string& path);
  void make_default_route();
  void name_routes();
  void resolve_pools();
  void resolve_pool(Route& route, const std::string& path);
  void check_strip_prefix(const Route& route, const std::string& path);
  void warn_of_unreachable_routes();
  void warn_of_unused_pools();

  // Reports the second of two same names; returns whether it is one.
  bool is_repeated(const std::string& name, const std::string& path,
                   std::map<std::string, std::string>* seen);
  Place at(std::string_view path) const { return origins_.place(path); }
  std::string where(std::string_view path) const { return report_.where(at(path)); }

  const Origins& origins_;
  Report& report_;
  Config& config_;
  std::vector<bool> used_;  // by pool
};

bool Validator::is_repeated(const std::string& name, const std::string& path,
                            std::map<std::string, std::string>* seen) {
  if (name.empty()) return false;
  const auto [there, is_new] = seen->emplace(name, path);
  if (is_new) return false;
  report_.error(
      at(path), path,
      {"duplicate_name", quoted(name) + " is taken; first at " + where(there->second), {}});
  return true;
}

void Validator::check_listeners() {
  std::map<std::string, std::string> names, binds;
  for (size_t i = 0; i < config_.listeners.size(); ++i) {
    Listener& listener = config_.listeners[i];
    const std::string path = indexed("listeners", i);
    const bool is_known = !listener.bind.host.empty() || !listener.bind.path.empty();
    if (listener.name.empty() && is_known) listener.name = listener.bind.text();
    is_repeated(listener.name, path + ".name", &names);
    const bool is_any_port =
        listener.bind.kind == BindAddress::Kind::kTcp && listener.bind.port == 0;
    if (!is_known || is_any_port) continue;
    const auto [there, is_new] = binds.emplace(listener.bind.text(), path + ".bind");
    if (is_new) continue;
    report_.error(at(path + ".bind"), path + ".bind",
                  {"duplicate_bind",
                   quoted(listener.bind.text()) + " is bound by another listener; first at " +
                       where(there->second),
                   {}});
  }
}

void Validator::check_admin() {
  if (!config_.admin.bind) return;
  const BindAddress& bind = *config_.admin.bind;
  const std::string path = "admin.bind";
  for (size_t i = 0; i < config_.listeners.size(); ++i) {
    if (config_.listeners[i].bind != bind || (bind.host.empty() && bind.path.empty())) continue;
    if (bind.kind == BindAddress::Kind::kTcp && bind.port == 0) continue;
    report_.error(at(path), path,
                  {"duplicate_bind",
                   quoted(bind.text()) + " is bound by a listener; first at " +
                       where(indexed("listeners", i) + ".bind"),
                   {}});
  }
  const bool is_local = bind.host.empty() || bind.host.starts_with("127.") || bind.host == "::1";
  if (is_local) return;
  report_.warning(at(path), path,
                  {"public_admin",
                   "others than this host can reach " + bind.text() +
                       ", and whoever reaches it can change everything",
                   "bind a unix: socket or a loopback address"});
}

void Validator::check_pool(Pool& pool) {
  const std::string path = "pools." + pool.name;
  check_endpoints(pool, path);
  const Health& health = pool.health;
  if (health.type == Health::Type::kOff || health.timeout <= health.interval) return;
  report_.warning(at(path + ".health.timeout"), path + ".health.timeout",
                  {"suspicious",
                   "a probe may take " + format_duration(health.timeout) +
                       ", longer than the interval of " + format_duration(health.interval),
                   {}});
}

void Validator::check_endpoints(Pool& pool, const std::string& path) {
  std::map<std::string, std::string> names, addresses;
  for (size_t i = 0; i < pool.endpoints.size(); ++i) {
    Endpoint& endpoint = pool.endpoints[i];
    const std::string here = indexed(path + ".endpoints", i);
    if (endpoint.address.host.empty() && endpoint.address.path.empty()) continue;
    const std::string address = endpoint.address.text();
    const auto [there, is_new] = addresses.emplace(address, here + ".address");
    if (!is_new) {
      report_.warning(
          at(here + ".address"), here + ".address",
          {"duplicate_address",
           quoted(address) + " is in this pool already; first at " + where(there->second),
           {}});
    }
    if (endpoint.name.empty()) endpoint.name = is_new ? address : address + "#" + std::to_string(i);
    is_repeated(endpoint.name, here + ".name", &names);
  }
}

void Validator::make_default_route() {
  if (!config_.routes.empty()) return;
  const bool is_route_given =
      origins_.find("routes") != nullptr && report_.has_errors_below("routes");
  if (config_.pools.size() == 1) {
    Route route;
    route.name = route.pool = config_.pools.front().name;
    config_.routes.push_back(std::move(route));
  } else if (config_.pools.size() > 1 && !is_route_given) {
    report_.error(
        at("pools"), "routes",
        {"missing_key", "has to be given: there is more than one pool",
         "for example routes: [{match: {path: /}, pool: " + config_.pools.front().name + "}]"});
  } else if (config_.pools.empty() && origins_.find("pools") == nullptr && !is_route_given) {
    report_.error({0, 1, 1}, "pools", {"missing_key", "nothing to do without pools or routes", {}});
  }
}

void Validator::name_routes() {
  std::map<std::string, std::string> names;
  for (size_t i = 0; i < config_.routes.size(); ++i) {
    Route& route = config_.routes[i];
    if (route.name.empty()) route.name = "route-" + std::to_string(i + 1);
    is_repeated(route.name, indexed("routes", i) + ".name", &names);
  }
}

void Validator::resolve_pools() {
  used_.assign(config_.pools.size(), false);
  for (size_t i = 0; i < config_.routes.size(); ++i) {
    Route& route = config_.routes[i];
    const std::string path = indexed("routes", i);
    if (!route.pool.empty()) resolve_pool(route, path + ".pool");
    check_strip_prefix(route, path + ".strip_prefix");
  }
}

void Validator::resolve_pool(Route& route, const std::string& path) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < config_.pools.size(); ++i) {
    names.push_back(config_.pools[i].name);
    if (config_.pools[i].name != route.pool) continue;
    route.pool_index = static_cast<uint32_t>(i);
    used_[i] = true;
    return;
  }
  Fault fault{"unknown_pool", "there is no pool " + quoted(route.pool), {}};
  if (const std::optional<std::string_view> near = nearest(route.pool, names)) {
    const std::string meant(*near);
    fault.message += "; did you mean \"" + meant + "\" (" + where("pools." + meant) + ")?";
  } else if (!names.empty()) {
    for (std::string_view name : names)
      fault.hint += (fault.hint.empty() ? "pools: " : ", ") + std::string(name);
  }
  report_.error(at(path), path, std::move(fault));
}

void Validator::check_strip_prefix(const Route& route, const std::string& path) {
  const std::string& prefix = route.strip_prefix;
  const std::string& matched = route.match.path;
  if (prefix.empty()) return;
  if (matched.starts_with(prefix) &&
      (matched.size() == prefix.size() || matched[prefix.size()] == '/'))
    return;
  report_.warning(at(path), path,
                  {"suspicious", "not every path that matches begins with " + quoted(prefix), {}});
}

// Whether every request that matches `b` matches `a` too.
bool covers_path(const Match& a, const Match& b) {
  if (a.path_kind == Match::PathKind::kAny) return true;
  if (b.path_kind == Match::PathKind::kAny) return false;
  if (a.path_kind == Match::PathKind::kExact)
    return b.path_kind == Match::PathKind::kExact && a.path == b.path;
  if (a.path_kind == Match::PathKind::kBelow) return b.path.starts_with(a.path);
  return b.path == a.path || b.path.starts_with(a.path + "/");
}

bool covers_host(const Match& a, const Match& b) {
  if (a.host_kind == Match::HostKind::kAny) return true;
  if (b.host_kind == Match::HostKind::kAny) return false;
  if (a.host_kind == Match::HostKind::kExact)
    return b.host_kind == Match::HostKind::kExact && a.host == b.host;
  return b.host.ends_with(a.host);
}

bool covers(const Match& a, const Match& b) {
  const bool methods =
      a.methods.empty() ||
      (!b.methods.empty() && std::ranges::all_of(b.methods, [&](const std::string& method) {
        return std::ranges::find(a.methods, method) != a.methods.end();
      }));
  const bool headers = std::ranges::all_of(a.headers, [&](const HeaderMatch& header) {
    return std::ranges::find(b.headers, header) != b.headers.end();
  });
  return methods && headers && covers_path(a, b) && covers_host(a, b);
}

void Validator::warn_of_unreachable_routes() {
  if (report_.has_errors())
    return;  // a match that could not be read looks like one that matches all
  for (size_t later = 1; later < config_.routes.size(); ++later) {
    for (size_t earlier = 0; earlier < later; ++earlier) {
      if (!covers(config_.routes[earlier].match, config_.routes[later].match)) continue;
      const std::string path = indexed("routes", later), first = indexed("routes", earlier);
      report_.warning(
          at(path), path,
          {"unreachable_route",
           "never reached: " + first + " (" + where(first) + ") matches all that this one would",
           "put the narrower route first"});
      break;
    }
  }
}

void Validator::warn_of_unused_pools() {
  if (report_.has_errors_below("routes"))
    return;  // the route that uses it may be the one that is wrong
  for (size_t i = 0; i < config_.pools.size(); ++i) {
    if (used_[i]) continue;
    const std::string path = "pools." + config_.pools[i].name;
    report_.warning(at(path), path, {"unused_pool", "no route leads to this pool", {}});
  }
}

}  // namespace

void validate(const Origins& origins, Report& report, Config* config) {
  Validator(origins, report, *config).run();
}

Place Origins::place(std::string_view path) const noexcept {
  for (;;) {
    if (const Origin* origin = find(path)) return origin->place;
    const size_t end = path.find_last_of(".[");
    if (end == std::string_view::npos) return {0, 1, 1};
    path = path.substr(0, end);
  }
}

}  // namespace sluice::config
