// All keys, from the innermost sections to the whole file.
#include "sluice/config/schema.h"

#include <algorithm>

#include "sluice/config/schema_rows.h"
#include "sluice/config/values.h"

namespace sluice::config {

namespace {

using rows::fields;
using rows::section_of;
using rows::sections;
using rows::value;
using rows::value_or_section;
using rows::values;
using rows::whole_value;

constexpr uint64_t kMs = 1'000'000, kSecond = 1000 * kMs, kMinute = 60 * kSecond;
constexpr uint64_t kHour = 60 * kMinute, kDay = 24 * kHour, kYear = 365 * kDay;
constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB, kTiB = 1024 * kGiB;
constexpr uint64_t kMillion = 1'000'000;
constexpr std::string_view kNotYet = "not supported yet in this version";

// Listeners.

const Section& limits_section() {
  static const Section section = section_of<Limits>({
      value<&Limits::head>("head", kSizeValue, "Request line and fields together; more is 431.")
          .range_is(kKiB, kMiB),
      value<&Limits::fields>("fields", kCountValue, "Number of fields; more is 431.")
          .range_is(1, 4096),
      value<&Limits::target>("target", kSizeValue, "The request target; more is 414.")
          .range_is(128, 256 * kKiB),
      value<&Limits::body>("body", kSizeValue, "A request's body; more is 413.")
          .range_is(1, kTiB)
          .or_off(),
      value<&Limits::connections>("connections", kCountValue, "Open connections of this listener.")
          .range_is(1, 10 * kMillion)
          .or_off(),
      value<&Limits::per_address>("per_address", kCountValue,
                                  "Open connections of one client address.")
          .range_is(1, 10 * kMillion)
          .or_off(),
  });
  return section;
}

const Section& listener_timeouts_section() {
  static const Section section = section_of<ListenerTimeouts>({
      value<&ListenerTimeouts::head>("head", kDurationValue,
                                     "For a whole request head; longer is 408.")
          .range_is(10 * kMs, kHour),
      value<&ListenerTimeouts::body>("body", kDurationValue,
                                     "Between two pieces of a request body; longer is 408.")
          .range_is(10 * kMs, kDay),
      value<&ListenerTimeouts::idle>(
          "idle", kDurationValue, "A kept-alive connection without a request; then it is closed.")
          .range_is(10 * kMs, kDay),
  });
  return section;
}

const Section& tls_section() {
  static const Section certificate = section_of<Certificate>({
      value<&Certificate::cert>("cert", kFileValue, "PEM file: the certificate, then its chain.")
          .needed()
          .like("shop.pem"),
      value<&Certificate::key>("key", kFileValue, "PEM file: the private key.")
          .needed()
          .like("shop.key"),
  });
  static const Section section = section_of<Tls>({
      sections<&Tls::certificates>("certificates", certificate,
                                   "SNI picks one; the first serves clients without SNI.")
          .needed(),
  });
  return section;
}

const Section& listener_section() {
  static const Section section = section_of<Listener>({
      value<&Listener::name>("name", kEndpointNameValue, "Stands in metrics, logs and status.")
          .like("web")
          .else_is("the bind address as written")
          .shown(),
      value<&Listener::bind>("bind", kBindValue,
                             "IPV4:PORT, [IPV6]:PORT, unix:/PATH or systemd:NAME.")
          .needed()
          .like("\"0.0.0.0:8080\""),
      rows::section<&Listener::tls>("tls", tls_section(), "TLS with ALPN h2 and http/1.1.")
          .not_yet(Support::kRefused, kNotYet),
      rows::section<&Listener::limits>("limits", limits_section(), "What a client may send."),
      rows::section<&Listener::timeouts>("timeouts", listener_timeouts_section(),
                                         "How long a client may take."),
      values<&Listener::trusted_proxies>(
          "trusted_proxies", kCidrValue,
          "Whose X-Forwarded-* fields are believed and appended to."),
  });
  return section;
}

// Pools.

const Section& balance_section() {
  static const Section hash = section_of<HashBy>({
      whole_value("by", kHashByValue, "What requests that belong together have in common.")
          .needed()
          .like("path"),
  });
  static const Section section = section_of<Balance>(
      {
          rows::section<&Balance::hash_by>(
              "consistent_hash", hash,
              "The same endpoint for the same hash, as far as it is usable.")
              .needed(),
      },
      [](void* object, const SectionCheck&) {
        static_cast<Balance*>(object)->kind = Balance::Kind::kConsistentHash;
      });
  return section;
}

bool is_named(const void* endpoint) {
  return static_cast<const Endpoint*>(endpoint)->address.kind == EndpointAddress::Kind::kName;
}

const Section& endpoint_section() {
  static const Section section = section_of<Endpoint>({
      value<&Endpoint::address>("address", kEndpointAddressValue,
                                "HOST:PORT, [IPV6]:PORT or unix:/PATH.")
          .needed()
          .like("\"127.0.0.1:9001\""),
      value<&Endpoint::name>("name", kEndpointNameValue, "Stands in CLI, status, metrics and logs.")
          .like("a")
          .else_is("the address as written"),
      value<&Endpoint::weight>("weight", kCountValue, "Share of requests; 0 gets no new ones.")
          .range_is(0, 256),
      value<&Endpoint::resolve>("resolve", kDurationValue,
                                "How often a host name is looked up again; off: once, at load.")
          .only_when(is_named)
          .range_is(100 * kMs, kDay)
          .or_off(),
      value<&Endpoint::backup>("backup", kBoolValue, "Used only when no other endpoint is usable."),
  });
  return section;
}

bool is_http(const void* health) {
  return static_cast<const Health*>(health)->type == Health::Type::kHttp;
}

void finish_health(void* object, const SectionCheck& check) {
  static constexpr std::string_view kHttpKeys[] = {"method", "path", "host", "expect", "body"};
  auto& health = *static_cast<Health*>(object);
  for (std::string_view key : kHttpKeys) {
    if (!check.has(key)) continue;
    if (!check.has("type")) health.type = Health::Type::kHttp;
    if (is_http(&health)) continue;
    check.error(key, "conflict", "only with type: http", "leave it out, or write type: http");
  }
}

const Section& health_section() {
  static const Section section = section_of<Health>(
      {
          value<&Health::type>("type", kWordValue,
                               "What a probe does; left out, http if a key for http is given.")
              .one_of(kHealthWords),
          value<&Health::method>("method", kTokenValue, "With type: http: the method.")
              .only_when(is_http),
          value<&Health::path>("path", kPathValue, "With type: http: the request target.")
              .only_when(is_http),
          value<&Health::host>("host", kAuthorityValue, "With type: http: the Host field.")
              .only_when(is_http)
              .like("orders.internal")
              .else_is("the endpoint's address"),
          values<&Health::expect>("expect", kStatusRangeValue,
                                  "With type: http: statuses that are good.")
              .never_empty()
              .only_when(is_http),
          value<&Health::body>("body", kTextValue,
                               "With type: http: text that has to be in the body.")
              .only_when(is_http)
              .like("ok")
              .else_is("not looked at"),
          value<&Health::interval>("interval", kDurationValue, "Between two probes.")
              .range_is(10 * kMs, kHour),
          value<&Health::timeout>("timeout", kDurationValue, "For a whole probe.")
              .range_is(kMs, 10 * kMinute),
          value<&Health::rise>("rise", kCountValue, "Good probes in a row until up.")
              .range_is(1, 1000),
          value<&Health::fall>("fall", kCountValue, "Bad probes in a row until down.")
              .range_is(1, 1000),
          value<&Health::initial_up>("initial", kWordValue, "State before the first probe.")
              .one_of(kInitialWords),
      },
      finish_health);
  return section;
}

const Section& pool_timeouts_section() {
  static const Section section = section_of<PoolTimeouts>({
      value<&PoolTimeouts::connect>("connect", kDurationValue, "To connect; longer is 504.")
          .range_is(kMs, 10 * kMinute),
      value<&PoolTimeouts::first_byte>(
          "first_byte", kDurationValue,
          "From the request sent to the first byte back; longer is 504.")
          .range_is(kMs, kDay),
      value<&PoolTimeouts::between_bytes>(
          "between_bytes", kDurationValue,
          "Between two pieces of a response, or of a request going out.")
          .range_is(kMs, kDay),
      value<&PoolTimeouts::idle>(
          "idle", kDurationValue,
          "An unused connection is kept that long; keep it below the endpoints' own.")
          .range_is(kMs, kDay),
  });
  return section;
}

// The list of causes fills three members of Retry.
constexpr std::string_view kConnectCause = "connect", kResetCause = "reset";

void clear_causes(void* list) {
  auto& retry = *static_cast<Retry*>(list);
  retry.on_connect = retry.on_reset = false;
  retry.on_statuses.clear();
}

Fault add_cause(const ReadContext&, std::string_view, std::string_view text, void* list) {
  auto& retry = *static_cast<Retry*>(list);
  if (text == kConnectCause) {
    retry.on_connect = true;
  } else if (text == kResetCause) {
    retry.on_reset = true;
  } else {
    const std::optional<uint64_t> status = parse_decimal(text);
    if (!status || *status < 400 || *status > 599) {
      return bad_value(text, "one of connect, reset or a status in 400 to 599");
    }
    auto& statuses = retry.on_statuses;
    const auto place = std::ranges::lower_bound(statuses, *status);
    if (place == statuses.end() || *place != *status)
      statuses.insert(place, static_cast<uint16_t>(*status));
  }
  return {};
}

Texts cause_texts(const Row&, const void* list) {
  const auto& retry = *static_cast<const Retry*>(list);
  Texts texts;
  if (retry.on_connect) texts.emplace_back("", kConnectCause);
  if (retry.on_reset) texts.emplace_back("", kResetCause);
  for (uint16_t status : retry.on_statuses) texts.emplace_back("", std::to_string(status));
  return texts;
}

Row retry_causes() {
  static const ValueType type{
      "connect, reset or a status", nullptr, nullptr, nullptr, nullptr, "string|integer"};
  Row row = whole_value("on", type, "What is tried again; only idempotent requests are.");
  row.shape = Shape::kScalars;
  row.access.clear = clear_causes;
  row.access.add = add_cause;
  row.access.texts = cause_texts;
  return row;
}

const Section& retry_section() {
  static const Section section = section_of<Retry>({
      value<&Retry::attempts>("attempts", kCountValue, "All tries together; 1 is no retry.")
          .range_is(1, 10),
      retry_causes(),
      value<&Retry::budget>("budget", kShareValue,
                            "Most retries, as a share of the pool's requests of the last 10 s; 3 a "
                            "second are always allowed.")
          .range_is(0, 100),
  });
  return section;
}

const Section& outlier_section() {
  static const Section section = section_of<Outlier>({
      value<&Outlier::failures>("failures", kCountValue,
                                "Failed requests in a row until an endpoint rests.")
          .range_is(1, 1000)
          .or_off(),
      value<&Outlier::base>("base", kDurationValue, "The first rest; doubled each time.")
          .range_is(10 * kMs, kDay),
      value<&Outlier::max_share>("max_share", kShareValue,
                                 "Of the endpoints, at most so many rest at once.")
          .range_is(0, 100),
  });
  return section;
}

const Section& sticky_section() {
  static const Section section = section_of<Pool>({
      value<&Pool::sticky_cookie>("cookie", kTokenValue, "Name of the cookie that sluice sets.")
          .needed()
          .like("srv"),
  });
  return section;
}

const Section& queue_section() {
  static const Section section = section_of<Queue>({
      value<&Queue::size>("size", kCountValue, "Requests that may wait; more are 503.")
          .range_is(1, kMillion)
          .or_off(),
      value<&Queue::timeout>("timeout", kDurationValue, "How long one waits; longer is 503.")
          .range_is(kMs, 10 * kMinute),
  });
  return section;
}

// `sticky` is a section of one key, which lives in the pool itself.
Row sticky_row() {
  Row row = whole_value("sticky", kTextValue, "Send a client back to the endpoint that it had.");
  row.shape = Shape::kSection;
  row.type = nullptr;
  row.section = &sticky_section();
  row.access.look = [](const void* object) -> const void* {
    return static_cast<const Pool*>(object)->sticky_cookie.empty() ? nullptr : object;
  };
  return row;
}

const Section& pool_section() {
  static const Section section = section_of<Pool>({
      value_or_section<&Pool::balance>(
          "balance", kBalanceValue, balance_section(),
          "Which endpoint is next; also {consistent_hash: {by: path}}.")
          .one_of(kBalanceWords),
      sections<&Pool::endpoints>("endpoints", endpoint_section(), "Where requests go.").needed(),
      rows::section<&Pool::health>("health", health_section(), "Probes."),
      rows::section<&Pool::timeouts>("timeouts", pool_timeouts_section(),
                                     "How long an endpoint may take."),
      rows::section<&Pool::retry>("retry", retry_section(), "Trying another endpoint."),
      rows::section<&Pool::outlier>("outlier", outlier_section(),
                                    "Resting endpoints whose requests fail."),
      sticky_row(),
      value<&Pool::slow_start>("slow_start", kDurationValue,
                               "How long an endpoint that came up gets less than its share.")
          .range_is(10 * kMs, kDay)
          .or_off(),
      value<&Pool::max_in_flight>("max_in_flight", kCountValue, "Requests at once to one endpoint.")
          .range_is(1, kMillion)
          .or_off(),
      rows::section<&Pool::queue>("queue", queue_section(),
                                  "Waiting when all endpoints are at max_in_flight."),
      value<&Pool::when_all_down>("when_all_down", kWordValue,
                                  "fail: 503 at once; try_all: as if all were up.")
          .one_of(kWhenAllDownWords),
  });
  return section;
}

// Routes.

void finish_match(void* object, const SectionCheck& check) {
  auto& match = *static_cast<Match*>(object);
  for (HeaderMatch& header : match.headers) header.name = lower(header.name);
  if (check.has("path") && check.has("path_exact")) {
    check.error("path_exact", "conflict", "not together with path");
  }
}

const Section& match_section() {
  static const Section section = section_of<Match>(
      {
          whole_value("host", kMatchHostValue,
                      "The host asked for, without port; *.SUFFIX for all below it.")
              .like("shop.example")
              .else_is("any"),
          whole_value("path", kMatchPathValue,
                      "/a: /a and what lies below it; /a/: only what lies below it; /: any."),
          whole_value("path_exact", kMatchExactValue, "This path and no other.").like("/old"),
          values<&Match::methods>("method", kTokenValue, "One of these methods.")
              .like("[GET, HEAD]")
              .else_is("any"),
          fields<&Match::headers>("headers", kFieldValueValue,
                                  "All of these fields, with just this value.")
              .names(check_field_name)
              .like("{X-A: b}"),
      },
      finish_match);
  return section;
}

const Section& redirect_section() {
  static const Section section = section_of<Redirect>({
      value<&Redirect::status>("status", kStatusWordValue, "The status.").one_of(kRedirectStatuses),
      value<&Redirect::location>("location", kLocationValue, "A path or URL.")
          .needed()
          .like("/new"),
  });
  return section;
}

const Section& respond_section() {
  static const Section section = section_of<Respond>({
      value<&Respond::status>("status", kStatusValue, "The status.").range_is(200, 599),
      value<&Respond::body>("body", kFreeTextValue, "The body."),
      value<&Respond::content_type>("content_type", kFieldValueValue, "Its Content-Type."),
  });
  return section;
}

const Section& edits_section() {
  static const Section section = section_of<HeaderEdits>({
      fields<&HeaderEdits::set>("set", kFieldValueValue, "Replaces what is there.")
          .names(check_edited_field),
      fields<&HeaderEdits::add>("add", kFieldValueValue, "One more field.")
          .names(check_edited_field),
      values<&HeaderEdits::remove>("remove", kFieldNameValue, "Done first."),
  });
  return section;
}

const Section& route_cache_section() {
  static const Section section = section_of<RouteCache>({
      value<&RouteCache::default_ttl>("default_ttl", kDurationValue,
                                      "How long a response is fresh that does not say itself.")
          .range_is(kMs, kYear)
          .or_off(),
      value<&RouteCache::stale_while_revalidate>(
          "stale_while_revalidate", kDurationValue,
          "How long after that it is still served while a new one is fetched.")
          .range_is(kMs, kYear)
          .or_off(),
      value<&RouteCache::stale_if_error>(
          "stale_if_error", kDurationValue,
          "How long after that it is still served when the endpoint fails.")
          .range_is(kMs, kYear)
          .or_off(),
  });
  return section;
}

void finish_route(void* object, const SectionCheck& check) {
  auto& route = *static_cast<Route*>(object);
  static constexpr std::pair<std::string_view, Route::Action> kActions[] = {
      {"pool", Route::Action::kPool},
      {"redirect", Route::Action::kRedirect},
      {"respond", Route::Action::kRespond}};
  std::string_view first;
  for (const auto& [key, action] : kActions) {
    if (!check.has(key)) continue;
    if (!first.empty()) check.error(key, "conflict", "not together with " + std::string(first));
    if (first.empty()) route.action = action;
    if (first.empty()) first = key;
  }
  if (first.empty()) {
    check.error({}, "missing_key", "has to say what to do: one of pool, redirect, respond");
  }
  if (first == "pool") return;
  for (std::string_view key : {"strip_prefix", "request_headers", "cache"}) {
    if (!first.empty() && check.has(key)) check.error(key, "conflict", "only with pool");
  }
}

template <Route::Action kAction>
bool does(const void* route) {
  return static_cast<const Route*>(route)->action == kAction;
}
constexpr auto to_pool = does<Route::Action::kPool>;

const Section& route_section() {
  static const Section section = section_of<Route>(
      {
          value<&Route::name>("name", kNameValue, "Stands in metrics and logs.")
              .like("everything")
              .else_is("route-N")
              .shown(),
          rows::section<&Route::match>("match", match_section(), "All that is given has to match."),
          value<&Route::pool>("pool", kNameValue, "Where matching requests go.")
              .only_when(to_pool)
              .like("orders")
              .shown(),
          rows::section<&Route::redirect>("redirect", redirect_section(),
                                          "Or: answer with a redirect.")
              .only_when(does<Route::Action::kRedirect>),
          rows::section<&Route::respond>("respond", respond_section(), "Or: answer with this.")
              .only_when(does<Route::Action::kRespond>),
          value<&Route::strip_prefix>("strip_prefix", kPrefixValue,
                                      "Taken from the front of the path.")
              .only_when(to_pool)
              .like("/api"),
          rows::section<&Route::request_headers>("request_headers", edits_section(),
                                                 "Changes to the request.")
              .only_when(to_pool),
          rows::section<&Route::response_headers>("response_headers", edits_section(),
                                                  "Changes to the response."),
          rows::section<&Route::cache>("cache", route_cache_section(),
                                       "Turns caching on, by RFC 9111.")
              .only_when(to_pool),
      },
      finish_route);
  return section;
}

// The whole file.

void finish_memory(void* object, const SectionCheck& check) {
  const auto& memory = *static_cast<const CacheMemory*>(object);
  if (memory.max_object <= memory.size) return;
  check.error("max_object", "out_of_range",
              "larger than the whole cache (size: " + format_size(memory.size) + ")");
}

const Section& cache_section() {
  static const Section memory = section_of<CacheMemory>(
      {
          value<&CacheMemory::size>("size", kSizeValue, "All of it, overhead included.")
              .range_is(kMiB, kTiB),
          value<&CacheMemory::max_object>("max_object", kSizeValue,
                                          "A larger response is not kept.")
              .range_is(kKiB, kGiB),
      },
      finish_memory);
  static const Section redis = section_of<CacheRedis>({
      value<&CacheRedis::url>("url", kRedisUrlValue,
                              "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or unix:/PATH.")
          .needed()
          .hidden()
          .like("\"redis://127.0.0.1:6379/0\""),
      value<&CacheRedis::timeout>("timeout", kDurationValue,
                                  "For one look-up; then the origin is asked.")
          .range_is(kMs, 10 * kSecond),
      value<&CacheRedis::prefix>("prefix", kTextValue, "Of all keys."),
  });
  static const Section section = section_of<Cache>({
      rows::section<&Cache::memory>("memory", memory, "The cache in this process."),
      rows::section<&Cache::redis>("redis", redis, "A tier shared by edge hosts.")
          .not_yet(Support::kIgnored, "only the memory of this process is used yet"),
      values<&Cache::purge_from>("purge_from", kCidrValue, "Who may send PURGE."),
  });
  return section;
}

const Section& admin_section() {
  static const Section section = section_of<Admin>({
      value<&Admin::bind>("bind", kBindValue,
                          "Keep it on a socket or on loopback: it can change everything.")
          .like("\"unix:/run/sluice/admin.sock\"")
          .else_is("$RUNTIME_DIRECTORY/admin.sock, /run/sluice/admin.sock, "
                   "$XDG_RUNTIME_DIR/sluice/admin.sock or /tmp/sluice-UID/admin.sock"),
  });
  return section;
}

const Section& access_log_section() {
  static const Section section = section_of<AccessLog>({
      value<&AccessLog::path>("path", kLogTargetValue, "stdout, stderr or a file."),
      value<&AccessLog::format>("format", kWordValue, "How a line looks.").one_of(kLogFormatWords),
  });
  return section;
}

Row include_row() {
  Row row;
  row.key = "include";
  row.shape = Shape::kLoader;
  row.type = &kTextValue;
  row.help = "More files, taken in here in sorted order: lists are appended, maps are merged.";
  row.example = "conf.d/*.yaml";
  return row;
}

}  // namespace

const Section& root_section() {
  static const Section section = section_of<Config>({
      value<&Config::workers>("workers", kCountValue,
                              "Threads, an event loop each; a change needs a restart.")
          .one_of(kWorkersWords)
          .range_is(1, 256),
      value<&Config::drain_timeout>("drain_timeout", kDurationValue,
                                    "How long a stop waits for requests under way.")
          .range_is(kMs, kDay)
          .or_off(),
      value<&Config::shutdown_delay>("shutdown_delay", kDurationValue,
                                     "At a stop: from /readyz failing until no more is accepted.")
          .range_is(kMs, kHour)
          .or_off(),
      include_row(),
      sections<&Config::listeners>("listeners", listener_section(), "Where clients connect.")
          .needed(),
      sections<&Config::pools, Shape::kNamed>("pools", pool_section(),
                                              "Groups of endpoints, by name.")
          .names(check_name)
          .like("orders"),
      sections<&Config::routes>("routes", route_section(),
                                "The first that matches wins, in this order.")
          .else_is("everything to the only pool"),
      rows::section<&Config::cache>("cache", cache_section(), "Where cached responses are kept."),
      rows::section<&Config::admin>("admin", admin_section(), "API, metrics and dashboard."),
      rows::section<&Config::access_log>("access_log", access_log_section(), "One line a request."),
  });
  return section;
}

}  // namespace sluice::config
