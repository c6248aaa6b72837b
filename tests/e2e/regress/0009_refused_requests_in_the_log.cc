// A request that is refused while it is read stands in the access log with what could be read of
// it.
#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kOnePool = R"(
listeners: [{name: web, bind: "127.0.0.1:0", limits: {head: 1KiB, target: 256B, fields: 8}}]
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}}
)";

struct Case {
  std::string what;
  std::string request;
  int status;
  std::string path;  // of the log line; "" when the request line itself cannot be read
};

// Sends each over a connection of its own and finds its line, the next one.
void check_lines(const std::vector<Case>& cases,
                 const std::function<void(const Case&, const Json&)>& check) {
  SimpleOrigin origin;
  Sluice sluice(kOnePool, {{"a", origin.address()}});
  size_t lines = 0;
  for (const Case& each : cases) {
    CAPTURE(each.what);
    Wire client = Wire::to_port(sluice.port());
    client.send(each.request);
    CHECK(client.read_response().status == each.status);
    const Json line = sluice.log(++lines).back();
    CAPTURE(line.dump());
    CHECK(line.at("status") == each.status);
    CHECK(line.at("reason") != "");
    check(each, line);
  }
  CHECK(origin.requests() == 0);
  const std::string text = sluice.log_text();
  CHECK(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) == cases.size());
}

}  // namespace

TEST_CASE("e2e/regress: the log tells method and path of what is refused while it is read") {
  const std::vector<Case> cases = {
      {"bare LF", "GET /lf?a=b HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, "/lf?a=b"},
      {"space before the colon", "GET /colon HTTP/1.1\r\nHost : a\r\n\r\n", 400, "/colon"},
      {"bad name", "GET /name HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", 400, "/name"},
      {"NUL in a value", "GET /nul HTTP/1.1\r\nHost: a\r\nX: " + std::string(1, '\0') + "\r\n\r\n",
       400, "/nul"},
      {"no Host", "GET /host HTTP/1.1\r\n\r\n", 400, "/host"},
      {"two framings",
       "GET /framing HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
       "chunked\r\n\r\n",
       400, "/framing"},
      {"head too large", "GET /large HTTP/1.1\r\nHost: a\r\nX: " + repeat("x", 1100) + "\r\n\r\n",
       431, "/large"},
      {"too many fields", "GET /many HTTP/1.1\r\nHost: a\r\n" + repeat("A: b\r\n", 9) + "\r\n", 431,
       "/many"},
  };
  check_lines(cases, [](const Case& each, const Json& line) {
    CHECK(line.at("method") == "GET");
    CHECK(line.at("path") == each.path);
  });
}

TEST_CASE("e2e/regress: of a target that is too long the log has at least the beginning") {
  const std::string path = "/long/" + repeat("a", 400);
  check_lines({{"", "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, path}},
              [](const Case& each, const Json& line) {
                const std::string logged = line.at("path");
                CHECK(line.at("method") == "GET");
                CHECK(logged.starts_with("/long/aaaa"));
                CHECK(each.path.starts_with(logged));
              });
}

TEST_CASE("e2e/regress: whatever bytes a refused request has, its log line is JSON") {
  const std::vector<Case> cases = {
      {"no UTF-8 in target", "GET /\x80\xFF HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
      {"no UTF-8 in a name", "GET /good HTTP/1.1\r\nHost: a\r\nX\xC3\x28: b\r\n\r\n", 400, "/good"},
      {"control bytes in target", "GET /a\x01\x1B[31mb HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
      {"control bytes in method", "G\x07T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
      {"a quote and a backslash", "GET /\"\\ HTTP/1.1\r\nHost : a\r\n\r\n", 400, ""},
      {"no request line", "\x16\x03\x01\x02\r\n\r\n", 400, ""},
  };
  check_lines(cases, [](const Case& each, const Json& line) {
    if (!each.path.empty()) CHECK(line.at("path") == each.path);
  });
}
