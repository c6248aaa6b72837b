// Which route a request takes: first match in listed order (config/snapshot.h says what each asks).
//
// Pure, no allocation. `path` is normalised (http/uri.h), without query; that of "OPTIONS *" is
// "*", which only a route that asks nothing of the path takes. The host is the authority without
// its port, its case, the brackets of an IPv6 address and a trailing dot; methods are
// case-sensitive; a header matches when any line of that name has exactly the value.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "sluice/config/snapshot.h"
#include "sluice/http/message.h"

namespace sluice::proxy {

// The index of the first route that matches, or nullopt (404).
std::optional<uint32_t> find_route(const config::Snapshot& snapshot, const http::RequestHead& head,
                                   std::string_view path) noexcept;

// The routes that a GET for this URL may take, in their order, whatever fields it has: all that
// match up to the first that asks for none. For people and purges, who name a URL only.
std::vector<uint32_t> routes_of_url(const config::Snapshot& snapshot, std::string_view authority,
                                    std::string_view path);

// Whether requests for that host and port, which may be left out, may take a route.
bool matches_host(const config::Match& match, std::string_view authority) noexcept;

}  // namespace sluice::proxy
