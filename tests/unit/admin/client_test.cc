#include "sluice/admin/client.h"

#include <doctest/doctest.h>

namespace sluice::admin {
namespace {

TEST_CASE("admin/client: --admin takes unix:/PATH and http://HOST:PORT") {
  struct Case {
    const char* text;
    const char* back;  // "" when it is a mistake
  };
  const Case cases[] = {
      {"unix:/run/sluice/admin.sock", "unix:/run/sluice/admin.sock"},
      {"http://127.0.0.1:9901", "http://127.0.0.1:9901"},
      {"http://127.0.0.1:9901/", "http://127.0.0.1:9901"},
      {"http://[::1]:9901", "http://[::1]:9901"},
      {"http://edge1.example:80", "http://edge1.example:80"},
      {"", ""},
      {"unix:", ""},
      {"/run/sluice/admin.sock", ""},
      {"127.0.0.1:9901", ""},
      {"https://127.0.0.1:9901", ""},
      {"http://127.0.0.1", ""},
      {"http://127.0.0.1:0", ""},
      {"http://127.0.0.1:65536", ""},
      {"http://:80", ""},
      {"http://127.0.0.1:9901/x", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const ParsedTarget parsed = parse_target(c.text);
    if (*c.back == '\0') {
      CHECK(parsed.targets.empty());
      CHECK(parsed.problem.find("unix:/PATH or http://HOST:PORT") != std::string::npos);
    } else {
      REQUIRE(parsed.targets.size() == 1);
      CHECK(parsed.targets[0].text() == c.back);
    }
  }
}

TEST_CASE("admin/client: whole answers, and those that are cut or no HTTP") {
  struct Case {
    const char* bytes;
    int status;
    const char* body;
  };
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"},
      {"HTTP/1.1 422 Unprocessable\r\ncontent-length:  2 \r\n\r\n{}", 422, "{}"},
      {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", 200, "abc"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
       "chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
       200, "abc0123456789"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", 0, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", 0, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n", 0, ""},
      {"HTTP/1.1 200 OK\r\n", 0, ""},
      {"SSH-2.0-OpenSSH_9.2\r\n", 0, ""},
      {"", 0, ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    const ClientReply reply = parse_reply(c.bytes);
    CHECK(reply.status == c.status);
    CHECK(reply.body == c.body);
    CHECK(reply.problem.empty() == (c.status != 0));
  }
}

TEST_CASE("admin/client: an unreachable sluice is told with every place that was tried") {
  const ClientReply reply = ask_first("unix:/nonexistent/admin.sock", {});
  CHECK(reply.status == 0);
  CHECK(reply.problem.find("unix:/nonexistent/admin.sock: No such file or directory") !=
        std::string::npos);
  CHECK(reply.problem.find("is it running") != std::string::npos);
}

}  // namespace
}  // namespace sluice::admin
