#include <algorithm>
#include <nlohmann/json.hpp>

#include "sluice/admin/endpoints.h"
#include "sluice/base/log.h"
#include "support.h"

namespace sluice::admin {
namespace {

using test::ApiFixture;
using Json = nlohmann::json;

struct QuietApi : ApiFixture {
  QuietApi() { set_log_level(LogLevel::off); }
  ~QuietApi() { set_log_level(LogLevel::info); }
};

std::string field(const proxy::HandlerReply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.fields) {
    if (key == name) return value;
  }
  return {};
}

TEST_CASE_FIXTURE(QuietApi, "admin/api: what there is to look at") {
  CHECK(get("/healthz").body == "ok\n");
  CHECK(Json::parse(get("/version").body) == Json{{"name", "sluice"}, {"version", "9.9.9"}});
  CHECK(get("/").body.find("<title>sluice</title>") != std::string::npos);
  CHECK(field(get("/"), "Content-Security-Policy").find("default-src 'none'") == 0);
  CHECK(get("/metrics").body.find("\nsluice_build_info{version=\"9.9.9\"} 1\n") !=
        std::string::npos);
  CHECK(field(get("/metrics"), "Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(get("/nope").status == 404);
  CHECK(field(get("/api/v1/status"), "Cache-Control") == "no-store");
}

TEST_CASE_FIXTURE(QuietApi, "admin/api: ready while serving with a usable endpoint in each pool") {
  CHECK(get("/readyz").status == 200);
  CHECK(get("/readyz?verbose").body == "ready\npool orders: 2 of 2 endpoints usable\n");

  port.endpoint(0).set_healthy(false, monotonic_now());
  CHECK(get("/readyz").status == 200);
  port.endpoint(1).set_admin_state(upstream::AdminState::draining);
  CHECK(get("/readyz").status == 503);
  CHECK(get("/readyz").body == "not ready\n");
  CHECK(get("/readyz?verbose").body ==
        "not ready\npool orders has no usable endpoint\npool orders: 0 of 2 endpoints usable\n");

  port.endpoint(0).set_healthy(true, monotonic_now());
  port.now.phase = Phase::leaving;
  CHECK(get("/readyz").status == 503);
  CHECK(get("/healthz").status == 200);
}

TEST_CASE_FIXTURE(QuietApi,
                  "admin/api: what changes something is POST only, what does not is GET and HEAD") {
  for (const char* path : {"/api/v1/reload", "/api/v1/purge", "/api/v1/endpoints/orders/a"}) {
    CHECK(get(path).status == 405);
    CHECK(field(get(path), "Allow") == "POST");
  }
  for (const char* path : {"/api/v1/status", "/metrics", "/"}) {
    CHECK(post(path, "").status == 405);
    CHECK(field(post(path, ""), "Allow") == "GET, HEAD");
  }
  CHECK(ask("HEAD", "/healthz")->answer.status == 200);
  CHECK(ask("DELETE", "/api/v1/endpoints/orders/a")->answer.status == 405);
}

TEST_CASE_FIXTURE(QuietApi, "admin/api: a reload answers when it has ended") {
  auto good = ask("POST", "/api/v1/reload");
  CHECK_FALSE(good->is_answered);
  REQUIRE(port.asked.size() == 1);
  port.asked[0]({true, 8, "pool orders changed", "[]", wall_now()});
  CHECK(good->answer.status == 200);
  CHECK(Json::parse(good->answer.body) == Json{{"ok", true},
                                               {"generation", 8},
                                               {"text", "pool orders changed"},
                                               {"problems", Json::array()}});
  auto bad = ask("POST", "/api/v1/reload");
  port.asked[1]({false, 8, "f:1:2: error: x\n", R"([{"line":1}])", wall_now()});
  CHECK(bad->answer.status == 422);
  CHECK(Json::parse(bad->answer.body)["problems"][0]["line"] == 1);
  CHECK(Json::parse(bad->answer.body)["text"] == "f:1:2: error: x\n");
}

TEST_CASE_FIXTURE(QuietApi, "admin/endpoints: the verbs of the CLI") {
  struct Case {
    const char* action;
    const char* state;
  };
  for (const Case& c :
       {Case{"drain", "draining"}, Case{"undrain", "up"}, Case{"disable", "disabled"},
        Case{"drain", "draining"}, Case{"enable", "up"}}) {
    CAPTURE(c.action);
    const auto reply = post("/api/v1/endpoints/orders/a", Json{{"action", c.action}}.dump());
    CHECK(reply.status == 200);
    CHECK(Json::parse(reply.body)["state"] == c.state);
  }
  CHECK(post("/api/v1/endpoints/orders/a", R"({"action": "weight", "weight": 9})").status == 200);
  CHECK(port.endpoint(0).weight() == 9);
}

TEST_CASE_FIXTURE(QuietApi, "admin/endpoints: a disabled endpoint is enabled, not undrained") {
  post("/api/v1/endpoints/orders/a", R"({"action": "disable"})");
  CHECK(post("/api/v1/endpoints/orders/a", R"({"action": "undrain"})").status == 409);
  CHECK(port.endpoint(0).state() == upstream::EndpointState::disabled);
}

TEST_CASE_FIXTURE(QuietApi, "admin/endpoints: names with special characters come percent-encoded") {
  const std::string path = endpoint_path({"orders", "127.0.0.1:9002"});
  CHECK(path == "/api/v1/endpoints/orders/127.0.0.1%3A9002");
  CHECK(post(path, R"({"action": "drain"})").status == 200);
  CHECK(port.endpoint(1).state() == upstream::EndpointState::draining);
}

TEST_CASE_FIXTURE(QuietApi, "admin/endpoints: mistakes are told with what would be right") {
  struct Case {
    const char* path;
    const char* body;
    int status;
    const char* says;
  };
  const Case cases[] = {
      {"/api/v1/endpoints/orders", "{}", 404, "POOL/ENDPOINT"},
      {"/api/v1/endpoints/orders/%zz", R"({"action": "drain"})", 404, "POOL/ENDPOINT"},
      {"/api/v1/endpoints/order/a", R"({"action": "drain"})", 404, "did you mean orders/a?"},
      {"/api/v1/endpoints/nowhere/near", R"({"action": "drain"})", 404, "orders/127.0.0.1:9002"},
      {"/api/v1/endpoints/orders/a", "", 400, "the body must be"},
      {"/api/v1/endpoints/orders/a", "[]", 400, "the body must be"},
      {"/api/v1/endpoints/orders/a", R"({"action": 1})", 400, "the body must be"},
      {"/api/v1/endpoints/orders/a", R"({"action": "stop"})", 400, "unknown action \\\"stop\\\""},
      {"/api/v1/endpoints/orders/a", R"({"action": "weight"})", 400, "0 to 256"},
      {"/api/v1/endpoints/orders/a", R"({"action": "weight", "weight": 257})", 400, "0 to 256"},
      {"/api/v1/endpoints/orders/a", R"({"action": "weight", "weight": -1})", 400, "0 to 256"},
      {"/api/v1/endpoints/orders/a", R"({"action": "weight", "weight": "1"})", 400, "0 to 256"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.path);
    CAPTURE(c.body);
    const auto reply = post(c.path, c.body);
    CHECK(reply.status == c.status);
    CHECK(reply.body.find(c.says) != std::string::npos);
  }
  CHECK(port.endpoint(0).state() == upstream::EndpointState::up);
  CHECK(port.endpoint(0).weight() == 1);
}

TEST_CASE("admin/api: no web page may make a browser ask (DNS rebinding, foreign origins)") {
  struct Case {
    const char* method;
    const char* host;
    const char* origin;
    bool is_unix;
    bool is_refused;
  };
  const Case cases[] = {
      {"GET", "127.0.0.1:9901", "", false, false},
      {"GET", "localhost:9901", "", false, false},
      {"GET", "LOCALHOST", "", false, false},
      {"GET", "[::1]:9901", "", false, false},
      {"GET", "192.0.2.7", "", false, false},
      {"GET", "evil.example", "", false, true},
      {"GET", "evil.example:9901", "", false, true},
      {"GET", "127.0.0.1.evil.example", "", false, true},
      {"GET", "", "", false, true},
      {"GET", "sluice", "", true, false},
      {"POST", "127.0.0.1:9901", "", false, false},
      {"POST", "127.0.0.1:9901", "http://127.0.0.1:9901", false, false},
      {"POST", "127.0.0.1:9901", "http://evil.example", false, true},
      {"POST", "127.0.0.1:9901", "http://127.0.0.1:8080", false, true},
      {"POST", "127.0.0.1:9901", "null", false, true},
      {"GET", "127.0.0.1:9901", "http://evil.example", false, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.method);
    CAPTURE(c.host);
    CAPTURE(c.origin);
    proxy::HandlerRequest request;
    request.method = http::method_of(c.method);
    request.is_unix_client = c.is_unix;
    request.fields = {{"host", c.host}};
    if (*c.origin != '\0') request.fields.emplace_back("origin", c.origin);
    CHECK(refusal(request).empty() != c.is_refused);
  }
}

TEST_CASE("admin/endpoints: POOL/ENDPOINT, where the endpoint may hold slashes") {
  struct Case {
    const char* text;
    const char* pool;
    const char* endpoint;
  };
  for (const Case& c :
       {Case{"orders/a", "orders", "a"}, Case{"orders/127.0.0.1:9002", "orders", "127.0.0.1:9002"},
        Case{"orders/unix:/run/x.sock", "orders", "unix:/run/x.sock"}}) {
    const auto name = parse_endpoint_name(c.text);
    REQUIRE(name.has_value());
    CHECK(name->pool == c.pool);
    CHECK(name->endpoint == c.endpoint);
    const auto back = name_from_path(endpoint_path(*name).substr(kEndpointsPath.size()));
    REQUIRE(back.has_value());
    CHECK(back->endpoint == c.endpoint);
  }
  for (const char* text : {"", "orders", "orders/", "/a"}) CHECK_FALSE(parse_endpoint_name(text));
  CHECK(percent_decode("a%2Fb%41") == "a/bA");
  for (const char* text : {"%", "%2", "%zz"}) CHECK_FALSE(percent_decode(text));
}

}  // namespace
}  // namespace sluice::admin
