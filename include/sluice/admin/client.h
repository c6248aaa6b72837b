// How the CLI verbs talk to a running sluice: a small blocking HTTP client, one request a
// connection.
//
// Thread: any; for the CLI only, never on a loop.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/clock.h"

namespace sluice::admin {

// Where an admin API may be.
struct Target {
  bool is_unix = true;
  std::string path;  // of the unix socket
  std::string host;  // without brackets
  std::string port;
  std::string text() const;  // as --admin takes it
};

// "unix:/PATH" or "http://HOST:PORT"; nothing and a reason otherwise.
struct ParsedTarget {
  std::vector<Target> targets;  // one, or none
  std::string problem;
};
ParsedTarget parse_target(std::string_view text);

struct ClientRequest {
  std::string method = "GET";
  std::string path;
  std::string body;  // JSON when not empty
  Duration timeout = std::chrono::seconds(5);
};

struct ClientReply {
  int status = 0;  // 0: no answer
  std::string body;
  std::string problem;  // why there is no answer
};

ClientReply ask(const Target& target, const ClientRequest& request);

// Asks the one that --admin names, or the first of the contract's list that answers. When none
// does, `problem` names every place that was tried, why it failed, and what to do.
ClientReply ask_first(std::string_view admin_option, const ClientRequest& request);

// The status and the body of a whole HTTP/1.1 response that ended with its connection; status 0
// when it is none. Pure.
ClientReply parse_reply(std::string_view bytes);

}  // namespace sluice::admin
