// The configuration as plain values: what one YAML file says, parsed, checked and with every
// default filled in. Made by config/load.h, frozen in config/snapshot.h, read by everybody.
//
// Units are types: Duration for time, uint64_t bytes for sizes, double 0..1 for shares. A member
// whose comment says "0: off" uses 0 for off; no other zero has a special meaning. All default
// values stand here, once: the schema rows (config/schema.h) read them from default-constructed
// structs.
//
// operator== compares what was configured and ignores Places, so that a reload can ask `old ==
// now`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.h"

namespace sluice::config {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Where something was written: an index into Config::files and 1-based line and column (in bytes).
// line 0: nowhere, sluice made it up. Any two Places are equal, see above.
struct Place {
  uint32_t file = 0;
  uint32_t line = 0;
  uint32_t column = 0;
  friend bool operator==(const Place&, const Place&) noexcept { return true; }
};

// Addresses.

// A block of addresses. IPv4 is kept IPv4-mapped (::ffff:a.b.c.d, prefix + 96), so that one
// comparison serves both families and a mapped address seen on a [::] socket matches too.
struct Cidr {
  std::array<uint8_t, 16> bytes{};
  uint8_t prefix = 128;  // in bits of the 16 bytes
  bool is_v4 = false;    // as written

  bool contains(std::span<const uint8_t, 16> address) const noexcept;
  bool contains_v4(std::span<const uint8_t, 4> address) const noexcept;
  std::string text() const;
  bool operator==(const Cidr&) const = default;
};
// "10.0.0.0/8", "192.0.2.1", "2001:db8::/32"; nullopt for anything else, set host bits included.
std::optional<Cidr> parse_cidr(std::string_view text);

// What a listener or the admin API binds.
struct BindAddress {
  enum class Kind : uint8_t { kTcp, kUnix, kSystemd };
  Kind kind = Kind::kTcp;
  std::string host;   // kTcp: an IPv4 or IPv6 literal without brackets
  uint16_t port = 0;  // kTcp; 0: any free port
  std::string
      path;  // kUnix: file path; kSystemd: the name of the passed socket (FileDescriptorName=)

  bool is_v6() const noexcept { return host.find(':') != std::string::npos; }
  std::string text() const;  // as one writes it: "[::]:80", "unix:/run/x.sock", "systemd:web"
  bool operator==(const BindAddress&) const = default;
};

// Where an endpoint is.
struct EndpointAddress {
  enum class Kind : uint8_t { kIp, kName, kUnix };  // kName: to be resolved
  Kind kind = Kind::kIp;
  std::string host;  // kIp: literal without brackets; kName: lower-case host name
  uint16_t port = 0;
  std::string path;  // kUnix

  bool is_v6() const noexcept { return kind == Kind::kIp && host.find(':') != std::string::npos; }
  std::string text() const;
  bool operator==(const EndpointAddress&) const = default;
};

// Listeners.

// What a client may send. A refusal is counted under the member's name.
struct Limits {
  uint64_t head = 32 * 1024;   // bytes of request line and fields: 431
  uint32_t fields = 128;       // number of fields: 431
  uint64_t target = 8 * 1024;  // bytes of the request target: 414
  uint64_t body = 0;           // bytes of a request body: 413. 0: off
  uint32_t connections = 0;    // open connections of this listener, all workers together. 0: off
  uint32_t per_address = 0;    // open connections of one client address, all workers. 0: off
  bool operator==(const Limits&) const = default;
};

struct ListenerTimeouts {
  Duration head = seconds(10);  // from first byte (or accept) to the end of the head: 408
  Duration body = seconds(30);  // between two reads of a request body: 408
  Duration idle = seconds(60);  // a kept-alive connection without a request: closed silently
  bool operator==(const ListenerTimeouts&) const = default;
};

struct Certificate {
  std::string cert;  // PEM file, resolved relative to the file that names it
  std::string key;
  Place place;
  bool operator==(const Certificate&) const = default;
};

struct Tls {
  std::vector<Certificate> certificates;  // at least one; the first is for clients without SNI
  bool operator==(const Tls&) const = default;
};

struct Listener {
  std::string name;
  BindAddress bind;
  std::optional<Tls> tls;
  Limits limits;
  ListenerTimeouts timeouts;
  std::vector<Cidr> trusted_proxies;  // whose X-Forwarded-* are appended to instead of dropped
  Place place;
  bool operator==(const Listener&) const = default;
};

// Pools.

struct HashBy {
  enum class Kind : uint8_t { kPath, kClient, kHeader, kCookie };
  Kind kind = Kind::kPath;
  std::string name;  // kHeader: lower-case; kCookie: as written
  bool operator==(const HashBy&) const = default;
};

struct Balance {
  enum class Kind : uint8_t {
    kRoundRobin,
    kWeighted,
    kLeastConn,
    kRandomTwo,
    kEwma,
    kConsistentHash
  };
  Kind kind = Kind::kRoundRobin;
  HashBy hash_by;  // only for kConsistentHash
  bool operator==(const Balance&) const = default;
};

struct Endpoint {
  std::string name;  // as shown to people; by default the address as written
  EndpointAddress address;
  uint32_t weight = 1;             // 0..256; 0: gets no new requests
  Duration resolve = seconds(10);  // kName: how often to look up again; 0: off (once, at load)
  bool backup = false;             // used only when no other endpoint is usable
  Place place;
  bool operator==(const Endpoint&) const = default;
};

struct StatusRange {
  uint16_t from = 200;  // both included
  uint16_t to = 399;
  bool operator==(const StatusRange&) const = default;
};

struct Health {
  enum class Type : uint8_t { kTcp, kHttp, kOff };
  Type type = Type::kTcp;
  Duration interval = seconds(2);
  Duration timeout = milliseconds(500);
  uint32_t rise = 2;       // good probes in a row until up
  uint32_t fall = 3;       // bad probes in a row until down
  bool initial_up = true;  // state before the first probe
  // kHttp only:
  std::string method = "GET";
  std::string path = "/";
  std::string host;                     // Host of the probe; empty: the endpoint's address
  std::vector<StatusRange> expect{{}};  // statuses that count as good
  std::string body;                     // must stand somewhere in the body; empty: not looked at
  bool operator==(const Health&) const = default;
};

struct PoolTimeouts {
  Duration connect = seconds(1);
  Duration first_byte = seconds(30);  // from the request sent to the first byte of the response
  Duration between_bytes =
      seconds(30);             // between two reads of the response, or writes of the request
  Duration idle = seconds(4);  // a kept-alive connection to an endpoint without a request
  bool operator==(const PoolTimeouts&) const = default;
};

struct Retry {
  uint32_t attempts = 2;   // all tries together; 1: no retry
  bool on_connect = true;  // could not be connected to
  bool on_reset = true;    // the connection broke before the first byte of a response
  std::vector<uint16_t> on_statuses{502, 503};  // ascending
  double budget = 0.20;  // retries over requests of the pool, both of the last 10 s
  bool operator==(const Retry&) const = default;
};

// Passive ejection: by the outcome of requests, beside the probes.
struct Outlier {
  uint32_t failures = 5;        // in a row. 0: off
  Duration base = seconds(10);  // first ejection, doubled each time
  double max_share = 0.5;       // of a pool's endpoints that may be ejected at once
  bool operator==(const Outlier&) const = default;
};

struct Queue {
  uint32_t size = 0;  // requests that may wait when all are at max_in_flight. 0: off
  Duration timeout = seconds(1);
  bool operator==(const Queue&) const = default;
};

enum class WhenAllDown : uint8_t { kFail, kTryAll };

struct Pool {
  std::string name;
  Balance balance;
  std::vector<Endpoint> endpoints;  // at least one
  Health health;
  PoolTimeouts timeouts;
  Retry retry;
  Outlier outlier;
  std::string sticky_cookie;   // empty: off
  Duration slow_start{0};      // 0: off
  uint32_t max_in_flight = 0;  // requests at once to one endpoint. 0: off
  Queue queue;
  WhenAllDown when_all_down = WhenAllDown::kFail;
  Place place;
  bool operator==(const Pool&) const = default;
};

// Routes.

struct HeaderMatch {
  std::string name;   // lower-case
  std::string value;  // the whole field value
  bool operator==(const HeaderMatch&) const = default;
};

struct Match {
  enum class PathKind : uint8_t {
    kAny,      // nothing asked of the path, or "/"
    kSegment,  // "/a": /a and what lies below it
    kBelow,    // "/a/": only what lies below it ("/a/" itself included)
    kExact     // path_exact
  };
  enum class HostKind : uint8_t { kAny, kExact, kSuffix };

  PathKind path_kind = PathKind::kAny;
  std::string path;  // as written, empty for kAny; kBelow keeps its trailing slash
  HostKind host_kind = HostKind::kAny;
  std::string host;  // lower-case, without port; kSuffix (*.example.org): ".example.org"
  std::vector<std::string> methods;  // empty: any
  std::vector<HeaderMatch> headers;  // all must match
  bool operator==(const Match&) const = default;
};

struct Redirect {
  uint16_t status = 308;  // 301, 302, 303, 307, 308
  std::string location;
  bool operator==(const Redirect&) const = default;
};

struct Respond {
  uint16_t status = 200;  // 200..599
  std::string body;
  std::string content_type = "text/plain";
  bool operator==(const Respond&) const = default;
};

struct HeaderField {
  std::string name;  // as written
  std::string value;
  bool operator==(const HeaderField&) const = default;
};

// Applied in this order: remove, set, add.
struct HeaderEdits {
  std::vector<HeaderField> set;
  std::vector<HeaderField> add;
  std::vector<std::string> remove;
  bool empty() const noexcept { return set.empty() && add.empty() && remove.empty(); }
  bool operator==(const HeaderEdits&) const = default;
};

// What of a request makes the key of a cached response, besides its URL.
struct RouteCacheKey {
  enum class Query : uint8_t { kAll, kOnly, kWithout };
  Query query = Query::kAll;
  std::vector<std::string> parameters;  // of kOnly or kWithout; a trailing * matches any rest
  bool sort_query = false;              // by name
  std::vector<std::string> headers;     // lower-case
  std::vector<std::string> cookies;     // as written
  bool operator==(const RouteCacheKey&) const = default;
};

struct StatusTtl {
  uint16_t status = 404;
  Duration ttl{0};  // 0: this status gets no lifetime from us
  bool operator==(const StatusTtl&) const = default;
};

enum class StoreSetCookie : uint8_t { kWhenExplicit, kNever };

// Its presence on a route turns caching on.
struct RouteCache {
  Duration default_ttl{0};             // freshness of what says nothing about it itself. 0: off
  Duration forced_ttl{0};              // freshness whatever the response says. 0: off
  std::vector<StatusTtl> status_ttl;   // default_ttl of one status; ascending
  Duration max_ttl{0};                 // no freshness is longer. 0: off
  uint8_t jitter_percent = 0;          // a freshness may be this much shorter, at random. 0: off
  bool heuristic = true;               // freshness guessed from Last-Modified
  Duration stale_while_revalidate{0};  // 0: off
  Duration stale_if_error{0};          // 0: off
  Duration stale_if_unreachable = std::chrono::hours(1);  // no endpoint answers at all. 0: off
  bool stale_beside_s_maxage = false;  // the first two count although s-maxage stands beside them
  Duration uncacheable_ttl = seconds(10);    // requests do not wait for each other. 0: off
  Duration keep = std::chrono::minutes(10);  // of what is stale, to be validated. 0: off
  StoreSetCookie set_cookie = StoreSetCookie::kWhenExplicit;
  bool honour_client = true;                // Cache-Control and Pragma of requests
  std::vector<std::string> bypass_headers;  // a request with one passes the cache by; lower-case
  std::vector<std::string> bypass_cookies;  // the same; as written
  std::vector<std::string> targeted_fields = {"sluice-cache-control", "cdn-cache-control",
                                              "surrogate-control"};  // lower-case
  RouteCacheKey key;
  bool operator==(const RouteCache&) const = default;
};

struct Route {
  enum class Action : uint8_t { kPool, kRedirect, kRespond };
  std::string name;  // "route-N" (1-based, listed order) unless given; stands in metrics and logs
  Match match;
  Action action = Action::kPool;
  std::string pool;          // kPool
  uint32_t pool_index = 0;   // kPool: into Config::pools
  Redirect redirect;         // kRedirect
  Respond respond;           // kRespond
  std::string strip_prefix;  // empty: off; what is left is made to start with '/'
  HeaderEdits request_headers;
  HeaderEdits response_headers;
  std::optional<RouteCache> cache;
  Place place;
  bool operator==(const Route&) const = default;
};

// The rest.

struct CacheMemory {
  uint64_t size = 256ull * 1024 * 1024;  // bytes, overhead included
  uint64_t max_object = 8ull * 1024 * 1024;
  bool operator==(const CacheMemory&) const = default;
};

// One of url and urls is given. A URL: redis://[[user]:password@]host[:port][/db] or
// unix:/path[?db=N]; secrets, all of them.
struct CacheRedis {
  std::string url;
  std::vector<std::string> urls;  // several servers; keys are spread over them
  Duration timeout = milliseconds(20);
  // How long a miss waits for another host that fetches the same already. 0: off
  Duration lease_wait = milliseconds(50);
  std::string prefix = "sluice:";
  std::string secret;  // in the hash of every key; the same on all hosts that share the tier
  Place place;
  bool operator==(const CacheRedis&) const = default;
};

struct Cache {
  CacheMemory memory;
  std::optional<CacheRedis> redis;
  std::vector<Cidr> purge_from;  // who may send PURGE; empty: nobody
  bool operator==(const Cache&) const = default;
};

struct Admin {
  std::optional<BindAddress> bind;  // nullopt: see config/admin_address.h
  Place place;
  bool operator==(const Admin&) const = default;
};

struct AccessLog {
  enum class Format : uint8_t { kJson, kCombined, kOff };
  std::string path = "stdout";  // "stdout", "stderr" or a file
  Format format = Format::kJson;
  bool operator==(const AccessLog&) const = default;
};

struct Config {
  uint32_t workers = 0;  // 0: auto, one a CPU that this process may use; see resolved_workers()
  Duration drain_timeout = seconds(30);  // how long TERM waits for requests under way
  Duration shutdown_delay{0};       // from "not ready" until no more is accepted at TERM. 0: off
  std::vector<Listener> listeners;  // at least one, in listed order
  std::vector<Pool> pools;          // in listed order
  std::vector<Route> routes;        // first match wins; never empty: see load.h
  Cache cache;
  Admin admin;
  AccessLog access_log;
  std::vector<std::string>
      files;  // the main file first, then included ones; Place::file counts here

  uint32_t resolved_workers() const noexcept;
  const Pool* find_pool(std::string_view name) const noexcept;
  std::string where(Place place) const;  // "sluice.yaml:14", or "" for line 0
};

// The words of the file for an enum value, for status, metrics and logs: "least_conn", "http",
// "json".
std::string_view to_text(Balance::Kind kind) noexcept;
std::string_view to_text(Health::Type type) noexcept;
std::string_view to_text(WhenAllDown when) noexcept;
std::string_view to_text(AccessLog::Format format) noexcept;
std::string_view to_text(Route::Action action) noexcept;

}  // namespace sluice::config
