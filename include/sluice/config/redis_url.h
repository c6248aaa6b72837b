// The URL of a Redis server, as far as the configuration looks at it: whether it is one, which
// server it means, and how it is shown. Pure.
//
// What is a URL here is what redis::parse_address takes, whose module stands beside this one: a
// test of server holds both against the same list.
#pragma once

#include <string>
#include <string_view>

#include "sluice/config/schema.h"

namespace sluice::config {

// Never shows the text: a password may stand in it.
Fault check_redis_url(std::string_view url);

// "host:port" in lower case, or the path of a socket; of a URL that is one.
std::string redis_server(std::string_view url);

// Without its password, for people.
std::string masked(std::string_view url);

}  // namespace sluice::config
