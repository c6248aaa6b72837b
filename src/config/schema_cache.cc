// The keys of the cache: `cache` of a route and `cache` of the process.
#include <algorithm>

#include "sluice/config/redis_url.h"
#include "sluice/config/schema.h"
#include "sluice/config/schema_parts.h"
#include "sluice/config/schema_rows.h"
#include "sluice/config/values.h"

namespace sluice::config {

namespace {

using rows::section_of;
using rows::value;
using rows::values;

// Names that cannot do what somebody who lists them wants, and why.
struct Useless {
  std::string_view name;
  std::string_view why;
};

Fault useless_fault(std::string_view text, std::span<const Useless> list) {
  const std::string name = lower(text);
  const auto found = std::ranges::find(list, name, &Useless::name);
  if (found == list.end()) return {};
  return {"bad_value", quoted(text) + " makes no sense here: " + std::string(found->why), {}};
}

// Field names are the same in any case, and looked for in lower case.
Fault read_field(const ReadContext& context, std::string_view text, void* name) {
  if (Fault fault = check_field_name(text)) return fault;
  if (Fault fault = context.row.type->check(text)) return fault;
  *static_cast<std::string*>(name) = lower(text);
  return {};
}
std::optional<std::string> write_name(const Row&, const void* name) {
  return *static_cast<const std::string*>(name);
}

// Of what has to be the same for a stored response to be used again.
Fault check_key_header(std::string_view text) {
  constexpr std::string_view kInEachKey = "it is in every key anyway";
  constexpr std::string_view kOneConnection = "it is about one connection, not about the response";
  constexpr std::string_view kCachesOwn = "the cache itself answers by it";
  constexpr std::string_view kCredentials =
      "what is stored of answers to it is for everybody (RFC 9111 section 3.5), and a key would "
      "hold the credentials";
  constexpr std::string_view kUnique = "it differs with every request";
  static constexpr Useless kList[] = {
      {"host", kInEachKey},
      {"cookie", "it differs with every client; name the cookies that count under cookies"},
      {"authorization", kCredentials},
      {"proxy-authorization", kCredentials},
      {"cache-control", kCachesOwn},
      {"pragma", kCachesOwn},
      {"range", kCachesOwn},
      {"if-match", kCachesOwn},
      {"if-modified-since", kCachesOwn},
      {"if-none-match", kCachesOwn},
      {"if-range", kCachesOwn},
      {"if-unmodified-since", kCachesOwn},
      {"connection", kOneConnection},
      {"content-length", kOneConnection},
      {"expect", kOneConnection},
      {"keep-alive", kOneConnection},
      {"proxy-connection", kOneConnection},
      {"te", kOneConnection},
      {"trailer", kOneConnection},
      {"transfer-encoding", kOneConnection},
      {"upgrade", kOneConnection},
      {"traceparent", kUnique},
      {"x-request-id", kUnique},
  };
  return useless_fault(text, kList);
}

Fault check_bypass_header(std::string_view text) {
  static constexpr Useless kList[] = {
      {"host", "every request has it, so nothing would be cached"},
  };
  return useless_fault(text, kList);
}

Fault check_targeted_field(std::string_view text) {
  constexpr std::string_view kRest = "it counts anyway, where no field of this list does";
  static constexpr Useless kList[] = {
      {"cache-control", kRest}, {"expires", kRest}, {"pragma", kRest}};
  return useless_fault(text, kList);
}

// Compared with the bytes of the query up to "=".
Fault check_parameter(std::string_view text) {
  const bool plain = std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < 0x7f && std::string_view("&=;#").find(c) == std::string_view::npos;
  });
  if (!plain) return bad_value(text, "a parameter as it stands in a URL (no space, &, =, ;, #)");
  if (text.find('*') < text.size() - 1) return bad_value(text, "a parameter: * ends a name");
  return {};
}
Fault read_parameter(const ReadContext&, std::string_view text, void* name) {
  Fault fault = check_parameter(text);
  if (!fault) *static_cast<std::string*>(name) = std::string(text);
  return fault;
}

constexpr ValueType field_type(Fault (*check)(std::string_view)) {
  return {"a field name", read_field, write_name, nullptr, check};
}
const ValueType kKeyHeaderValue = field_type(check_key_header);
const ValueType kBypassHeaderValue = field_type(check_bypass_header);
const ValueType kTargetedFieldValue = field_type(check_targeted_field);
const ValueType kParameterValue{"a parameter", read_parameter, write_name};

// Section::finish cannot say where in a list; the name says it.
void refuse_repeated(const std::vector<std::string>& list, std::string_view key,
                     const SectionCheck& check) {
  for (auto each = list.begin(); each != list.end(); ++each) {
    if (std::find(list.begin(), each, *each) == each) continue;
    check.error(key, "duplicate_name", quoted(*each) + " stands there twice");
  }
}

// A route's cache.

template <RouteCacheKey::Query kQuery>
bool asks(const void* key) {
  return static_cast<const RouteCacheKey*>(key)->query == kQuery;
}

void finish_query(void* object, const SectionCheck& check) {
  auto& key = *static_cast<RouteCacheKey*>(object);
  const bool has_only = check.has("only"), has_without = check.has("without");
  if (has_only && has_without) check.error("without", "conflict", "not together with only");
  if (!has_only && !has_without) {
    check.error({}, "missing_key", "has to say what counts: one of only, without");
  }
  key.query = has_only ? RouteCacheKey::Query::kOnly : RouteCacheKey::Query::kWithout;
  refuse_repeated(key.parameters, has_only ? "only" : "without", check);
}

const Section& query_section() {
  static const Section section = section_of<RouteCacheKey>(
      {
          values<&RouteCacheKey::parameters>(
              "only", kParameterValue,
              "These parameters and no others; [] for none; * ends a name.")
              .only_when(asks<RouteCacheKey::Query::kOnly>)
              .like("[page, filter*]"),
          values<&RouteCacheKey::parameters>("without", kParameterValue,
                                             "Or: all but these; * ends a name.")
              .never_empty()
              .only_when(asks<RouteCacheKey::Query::kWithout>)
              .like("[utm_*, fbclid]"),
      },
      finish_query);
  return section;
}

// `query` fills members of the key itself.
Row query_row() {
  Row row =
      rows::whole_value("query", kTextValue,
                        "Which parameters of the query count; the endpoint still gets them all.");
  row.shape = Shape::kSection;
  row.type = nullptr;
  row.section = &query_section();
  row.access.look = [](const void* object) -> const void* {
    return asks<RouteCacheKey::Query::kAll>(object) ? nullptr : object;
  };
  row.default_note = "all";
  return row;
}

void finish_key(void* object, const SectionCheck& check) {
  const auto& key = *static_cast<const RouteCacheKey*>(object);
  refuse_repeated(key.headers, "headers", check);
  refuse_repeated(key.cookies, "cookies", check);
}

const Section& key_section() {
  static const Section section = section_of<RouteCacheKey>(
      {
          query_row(),
          value<&RouteCacheKey::sort_query>("sort_query", kBoolValue,
                                            "Parameters in any order are the same."),
          values<&RouteCacheKey::headers>(
              "headers", kKeyHeaderValue,
              "Request fields that count although no Vary of a response names them."),
          values<&RouteCacheKey::cookies>("cookies", kTokenValue, "Cookies that count."),
      },
      finish_key);
  return section;
}

// A status that no cache stores, whatever a lifetime says.
std::string_view why_never_stored(uint64_t status) {
  if (status < 200) return "no final response";
  switch (status) {
    case 206:
      return "only a part, and an answer to one range";
    case 304:
    case 412:
      return "an answer to one client's condition";
    case 416:
      return "an answer to one client's range";
    case 428:
    case 429:
    case 431:
    case 511:
      return "never to be stored (RFC 6585)";
    default:
      return {};
  }
}

Fault check_status(std::string_view name) {
  const std::optional<uint64_t> status = parse_decimal(name);
  if (!status || name.size() != 3 || *status < 100 || *status > 599) {
    return bad_value(name, "a status in 200 to 599");
  }
  const std::string_view why = why_never_stored(*status);
  if (why.empty()) return {};
  return {
      "bad_value", std::string(name) + " cannot have a lifetime: it is " + std::string(why), {}};
}

void clear_status_ttl(void* cache) { static_cast<RouteCache*>(cache)->status_ttl.clear(); }

Fault add_status_ttl(const ReadContext& context, std::string_view name, std::string_view text,
                     void* cache) {
  StatusTtl row{static_cast<uint16_t>(parse_decimal(name).value_or(0)), Duration{0}};
  Fault fault = context.row.type->read(context, text, &row.ttl);
  if (fault) return fault;
  auto& list = static_cast<RouteCache*>(cache)->status_ttl;
  list.insert(std::ranges::lower_bound(list, row.status, {}, &StatusTtl::status), row);
  return {};
}

Texts status_ttl_texts(const Row& row, const void* cache) {
  Texts texts;
  for (const StatusTtl& each : static_cast<const RouteCache*>(cache)->status_ttl) {
    texts.emplace_back(std::to_string(each.status), row.type->write(row, &each.ttl).value_or(""));
  }
  return texts;
}

Row status_ttl_row() {
  Row row = rows::whole_value(
      "status_ttl", kDurationValue,
      "default_ttl by status, and the only one for errors; off: none for that status.");
  row.shape = Shape::kFields;
  row.access.clear = clear_status_ttl;
  row.access.add = add_status_ttl;
  row.access.texts = status_ttl_texts;
  return row;
}

// A lifetime or window; all of them fit the 2^31 seconds of RFC 9111 section 1.2.2.
template <auto kMember>
Row time_row(std::string_view key, std::string_view help) {
  return value<kMember>(key, kDurationValue, help).range_is(kMs, kYear).or_off();
}

std::vector<Row> lifetime_rows() {
  return {
      time_row<&RouteCache::default_ttl>("default_ttl",
                                         "How long a response is fresh that does not say itself."),
      time_row<&RouteCache::forced_ttl>("forced_ttl",
                                        "Instead of default_ttl: how long one is fresh whatever it "
                                        "says, short of no-store and private; not for errors."),
      status_ttl_row()
          .range_is(kMs, kYear)
          .or_off()
          .names(check_status)
          .like("{404: 10s, 410: 1h}"),
      time_row<&RouteCache::max_ttl>("max_ttl", "No response is fresh for longer."),
      value<&RouteCache::jitter_percent>(
          "jitter", kPercentValue,
          "Each is fresh for up to so much less, at random: not all end at once.")
          .range_is(0, 50),
      value<&RouteCache::heuristic>(
          "heuristic", kBoolValue,
          "Without any lifetime: fresh for a tenth of the time since Last-Modified."),
  };
}

std::vector<Row> stale_rows() {
  return {
      time_row<&RouteCache::stale_while_revalidate>(
          "stale_while_revalidate",
          "How long after that it is still served while a new one is fetched."),
      time_row<&RouteCache::stale_if_error>(
          "stale_if_error", "How long after that it is still served when the endpoint fails."),
      time_row<&RouteCache::stale_if_unreachable>(
          "stale_if_unreachable",
          "The same when no endpoint answers, or one does with 502, 503 or 504."),
      value<&RouteCache::stale_beside_s_maxage>(
          "stale_beside_s_maxage", kBoolValue,
          "A response's stale-while-revalidate and stale-if-error count beside its s-maxage too."),
      time_row<&RouteCache::keep>("keep",
                                  "How long a stale response stays in Redis to be validated; "
                                  "memory keeps it until it needs room."),
      time_row<&RouteCache::uncacheable_ttl>(
          "uncacheable_ttl",
          "How long requests do not wait for each other once a response could not be stored."),
  };
}

std::vector<Row> request_rows() {
  return {
      value<&RouteCache::set_cookie>(
          "set_cookie", kWordValue,
          "Whether responses with Set-Cookie are stored: with a lifetime or public, or never.")
          .one_of(kSetCookieWords),
      value<&RouteCache::honour_client>(
          "honour_client", kBoolValue,
          "Whether Cache-Control and Pragma of requests are obeyed; false: reload gets a hit."),
      values<&RouteCache::bypass_headers>(
          "bypass_headers", kBypassHeaderValue,
          "A request with one of these fields goes past the cache."),
      values<&RouteCache::bypass_cookies>(
          "bypass_cookies", kTokenValue,
          "A request with one of these cookies goes past the cache."),
      values<&RouteCache::targeted_fields>(
          "targeted_fields", kTargetedFieldValue,
          "Response fields that replace Cache-Control for sluice; the first valid one counts."),
      rows::section<&RouteCache::key>("key", key_section(),
                                      "What makes a stored response another one, beside the URL."),
  };
}

void finish_route_cache(void* object, const SectionCheck& check) {
  const auto& cache = *static_cast<const RouteCache*>(object);
  if (cache.forced_ttl > Duration{0} && cache.default_ttl > Duration{0}) {
    check.error("default_ttl", "conflict", "would never count beside forced_ttl",
                "leave one of the two out");
  }
  refuse_repeated(cache.bypass_headers, "bypass_headers", check);
  refuse_repeated(cache.bypass_cookies, "bypass_cookies", check);
  refuse_repeated(cache.targeted_fields, "targeted_fields", check);
}

// The cache of the process.

void finish_memory(void* object, const SectionCheck& check) {
  const auto& memory = *static_cast<const CacheMemory*>(object);
  if (memory.max_object <= memory.size) return;
  check.error("max_object", "out_of_range",
              "larger than the whole cache (size: " + format_size(memory.size) + ")");
}

const Section& memory_section() {
  static const Section section = section_of<CacheMemory>(
      {
          value<&CacheMemory::size>("size", kSizeValue, "All of it, overhead included.")
              .range_is(kMiB, kTiB),
          value<&CacheMemory::max_object>("max_object", kSizeValue,
                                          "A larger response is not kept.")
              .range_is(kKiB, kGiB),
      },
      finish_memory);
  return section;
}

void finish_redis(void* object, const SectionCheck& check) {
  const auto& redis = *static_cast<const CacheRedis*>(object);
  const bool has_url = check.has("url"), has_urls = check.has("urls");
  if (has_url && has_urls) check.error("urls", "conflict", "not together with url");
  if (!has_url && !has_urls) {
    check.error({}, "missing_key", "has to say where: one of url, urls",
                "for example url: \"redis://127.0.0.1:6379/0\"");
  }
  std::vector<std::string> servers;
  servers.reserve(redis.urls.size());
  for (const std::string& url : redis.urls) servers.push_back(redis_server(url));
  refuse_repeated(servers, "urls", check);
}

const Section& redis_section() {
  static const Section section = section_of<CacheRedis>(
      {
          value<&CacheRedis::url>(
              "url", kRedisUrlValue,
              "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or unix:/PATH[?db=N].")
              .hidden()
              .only_when([](const void* redis) {
                return !static_cast<const CacheRedis*>(redis)->url.empty();
              })
              .like("\"redis://127.0.0.1:6379/0\""),
          values<&CacheRedis::urls>("urls", kRedisUrlValue,
                                    "Or: several servers, keys spread over them.")
              .hidden()
              .never_empty()
              .only_when([](const void* redis) {
                return !static_cast<const CacheRedis*>(redis)->urls.empty();
              })
              .like("[\"redis://10.0.0.1\", \"redis://10.0.0.2\"]"),
          value<&CacheRedis::timeout>("timeout", kDurationValue,
                                      "For one look-up; then the endpoint is asked.")
              .range_is(kMs, 10 * kSecond),
          value<&CacheRedis::lease_wait>(
              "lease_wait", kDurationValue,
              "How long a miss waits for another host that fetches the same already.")
              .range_is(kMs, 10 * kSecond)
              .or_off(),
          value<&CacheRedis::prefix>("prefix", kTextValue, "Of all keys."),
          value<&CacheRedis::secret>(
              "secret", kSecretValue,
              "In the hash of every key; the same on all hosts that share the tier.")
              .hidden()
              .like("\"${CACHE_SECRET}\"")
              .else_is("none"),
      },
      finish_redis);
  return section;
}

}  // namespace

const Section& route_cache_section() {
  static const Section section = [] {
    std::vector<Row> rows = lifetime_rows();
    std::ranges::move(stale_rows(), std::back_inserter(rows));
    std::ranges::move(request_rows(), std::back_inserter(rows));
    return section_of<RouteCache>(std::move(rows), finish_route_cache);
  }();
  return section;
}

const Section& cache_section() {
  static const Section section = section_of<Cache>({
      rows::section<&Cache::memory>("memory", memory_section(), "The cache in this process."),
      rows::section<&Cache::redis>("redis", redis_section(), "A tier shared by edge hosts."),
      values<&Cache::purge_from>("purge_from", kCidrValue, "Who may send PURGE."),
  });
  return section;
}

}  // namespace sluice::config
