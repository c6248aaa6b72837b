// What a response is stored under: the canonical text of a request and its hash.
//
//   GET <length of URL> <scheme>://<host>:<port><target>[<part>...]
//   part: h|c <length>:<name> <count> (<length>:<value>)...     a request field | a cookie
//         s <length>:<space>                                    the rule's space
//
// Host in lower case, port always there, the target byte for byte as it is forwarded: no path is
// normalised, so that what one endpoint reads differently from us cannot be served for something
// else. No two different inputs make one text, whatever bytes they hold. HEAD is answered from GET;
// a response to POST is stored for GET where the policy says so. Pure; texts live in the arena.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/arena.h"
#include "sluice/base/hash.h"
#include "sluice/http/message.h"

namespace sluice::cache {

// What of a request makes the key besides its URL. In doubt a parameter stays in the key: one that
// holds ";" (some endpoints separate by it) or whose name only matches decoded is never left out.
struct KeyRule {
  enum class Query : uint8_t { all, only, without };

  Query query = Query::all;
  std::vector<std::string> parameters;  // of only or without; a trailing * matches any rest
  bool sort = false;                    // by name; equal names keep their order
  std::vector<std::string> fields;      // names of request fields, lower case
  std::vector<std::string> cookies;     // names of cookies
  std::string space;  // keeps apart what routes to different pools have under one URL; may be empty
};

struct Key {
  std::string_view text;
  std::string_view url;  // the part of text that purges by URL and prefix look at
  Hash128 hash;          // of text; a hint only: texts are always compared
  // More than the URL is in it: other keys may have this URL.
  bool has_extras() const noexcept { return url.data() + url.size() != text.data() + text.size(); }
};

// The parts of a URL as they came with a request.
struct KeyUrl {
  std::string_view scheme;     // "http" or "https"
  std::string_view authority;  // host and optional port
  std::string_view target;     // path and query
};

// nullopt: a target that is no path ("*") has no key.
std::optional<Key> make_key(const KeyUrl& url, const http::FieldList& fields, const KeyRule& rule,
                            const HashSecret& secret, Arena& arena);

// The key of a canonical URL without extras, for purges.
Key key_of_url(std::string_view url, const HashSecret& secret, Arena& arena);

// The canonical form of an absolute URL as a person writes it: what `url` of its key is. As a
// prefix it may end anywhere behind the host, and goes with an empty rule. nullopt when it is not
// absolute with http or https.
std::optional<std::string_view> canonical_url(std::string_view url, const KeyRule& rule,
                                              Arena& arena);

// The `url` within the text of a stored key; nullopt when the text is none of ours.
std::optional<std::string_view> url_of_key(std::string_view text) noexcept;

}  // namespace sluice::cache
