// The document of the API against what the API does: paths, methods, statuses, shapes.
#include "sluice/orders/openapi.h"

#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sluice/base/strings.h"
#include "sluice/orders/order_api.h"
#include "sluice/orders/request_check.h"
#include "sluice/orders/sqlite/store_sqlite.h"
#include "sluice/orders/version.h"
#include "support.h"

using namespace sluice;
using namespace sluice::orders;
using Json = nlohmann::json;
using test::post;
using test::request;
using test::run_until;

namespace {

const Json& document() {
  static const Json json = Json::parse(openapi_document());
  return json;
}

const Json& resolved(const Json& json) {
  if (!json.contains("$ref")) return json;
  return document().at(Json::json_pointer(json.at("$ref").get<std::string>().substr(1)));
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  return type == "integer" && value.is_number_integer();
}

// The part of JSON Schema that the document uses; "" or where the value does not fit.
std::string misfit(const Json& value, const Json& reference, const std::string& where) {
  const Json& schema = resolved(reference);
  if (!has_type(value, schema.at("type"))) return where + " has another type";
  if (schema.contains("enum")) {
    const Json& all = schema.at("enum");
    if (std::find(all.begin(), all.end(), value) == all.end()) return where + " is not listed";
  }
  if (value.is_array()) {
    for (const Json& item : value) {
      if (std::string bad = misfit(item, schema.at("items"), where + "[]"); !bad.empty())
        return bad;
    }
  }
  if (!value.is_object() || !schema.contains("properties")) return {};
  for (const Json& name : schema.at("required")) {
    if (!value.contains(name.get<std::string>())) return where + "." + name.dump() + " is missing";
  }
  for (const auto& [name, part] : value.items()) {
    if (!schema.at("properties").contains(name)) return where + "." + name + " is not described";
    const Json& rule = schema.at("properties").at(name);
    if (std::string bad = misfit(part, rule, where + "." + name); !bad.empty()) return bad;
  }
  return {};
}

// "/products/p1/restock" is "/products/{id}/restock" in the document.
std::string path_in_document(std::string_view path) {
  switch (parse_target(path).resource) {
    case Resource::product:
      return "/products/{id}";
    case Resource::restock:
      return "/products/{id}/restock";
    case Resource::order:
      return "/orders/{id}";
    default:
      return std::string(path);
  }
}

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

struct Shop {
  explicit Shop(ApiOptions options = {"a", true}) {
    OpenedStore opened = open_sqlite_store(loop, folder.file("orders.db"), test::products(5));
    REQUIRE(opened.problem == "");
    store = std::move(opened.store);
    api = std::make_unique<OrderApi>(loop, *store, std::move(options));
  }
  // Asks, and holds the answer against the document.
  std::string ask(const proxy::HandlerRequest& asked, int status) {
    CAPTURE(asked.method_text);
    CAPTURE(asked.path);
    auto call = std::make_shared<test::FakeCall>(loop, asked);
    api->handle(call);
    REQUIRE(run_until(loop, [&] { return call->answer.has_value(); }));
    REQUIRE(call->answer->status == status);
    const Json& operation =
        document().at("paths").at(path_in_document(asked.path)).at(lower_case(asked.method_text));
    REQUIRE(operation.at("responses").contains(std::to_string(status)));
    const Json& response = resolved(operation.at("responses").at(std::to_string(status)));
    std::string type = call->field("Content-Type");
    type = type.substr(0, type.find(';'));
    REQUIRE(response.at("content").contains(type));
    if (type == "text/plain") return {};
    const Json body = Json::parse(call->answer->body);
    CHECK(misfit(body, response.at("content").at(type).at("schema"), "body") == "");
    seen.insert(fmt::format("{} {} {}", asked.method_text, path_in_document(asked.path), status));
    return call->field("Location");
  }

  test::TemporaryFolder folder;
  loop::Loop loop;
  std::unique_ptr<ShopStore> store;
  std::unique_ptr<OrderApi> api;
  std::set<std::string> seen;
};

constexpr const char* kOrder = R"({"user_id":"u1","items":[{"product_id":"p1","quantity":1}]})";

}  // namespace

TEST_CASE("orders/openapi: every path and method of the API is described, and no other") {
  std::set<Resource> described;
  for (const auto& [path, operations] : document().at("paths").items()) {
    CAPTURE(path);
    std::string sample = path;
    if (const size_t at = sample.find("{id}"); at != std::string::npos) sample.replace(at, 4, "x1");
    const Resource resource = parse_target(sample).resource;
    REQUIRE(resource != Resource::none);
    described.insert(resource);
    std::set<std::string> methods, allowed;
    for (const auto& [method, operation] : operations.items()) methods.insert(method);
    for_each_element(allowed_methods(resource), [&](std::string_view method) {
      if (method != "HEAD") allowed.insert(lower_case(std::string(method)));
      return true;
    });
    CHECK(methods == allowed);
  }
  // The last one of the API; none is 0.
  CHECK(described.size() == static_cast<size_t>(Resource::openapi));
  CHECK(document().at("info").at("version") == kVersion);
}

TEST_CASE("orders/openapi: every word of a problem stands at a response of its status") {
  for (size_t i = 0; i < static_cast<size_t>(Problem::kCount); ++i) {
    const ProblemRow& row = problem_row(static_cast<Problem>(i));
    if (static_cast<Problem>(i) == Problem::kMethod) continue;  // of methods that are not there
    CAPTURE(row.word);
    bool is_told = false;
    for (const auto& [path, operations] : document().at("paths").items()) {
      for (const auto& [method, operation] : operations.items()) {
        const Json& responses = operation.at("responses");
        const std::string status = std::to_string(row.status);
        if (!responses.contains(status)) continue;
        const std::string told = resolved(responses.at(status)).at("description");
        is_told |= told.find(row.word) != std::string::npos;
      }
    }
    CHECK(is_told);
  }
}

TEST_CASE("orders/openapi: answers have the statuses and shapes that it says") {
  Shop shop;
  const std::string location = shop.ask(post("/orders", kOrder, "k1"), 201);
  shop.ask(request("GET", location), 200);
  shop.ask(request("GET", "/orders?user=u1"), 200);
  for (const char* path : {"/products", "/products/p1", "/status", "/openapi.json", "/metrics",
                           "/healthz", "/readyz"}) {
    shop.ask(request("GET", path), 200);
  }
  shop.ask(post("/products/p1/restock", R"({"quantity":1})"), 200);
  shop.ask(post("/orders", "{", "k2"), 400);
  shop.ask(post("/orders", R"({"user_id":"u","items":[{"product_id":"p1","quantity":9}]})", "k2"),
           409);
  shop.ask(post("/orders", std::string(1 << 20, ' '), "k2"), 413);
  shop.ask(request("POST", "/orders", kOrder), 415);
  shop.ask(post("/orders", "{}", "k2"), 422);
  shop.ask(request("GET", "/orders"), 400);
  shop.ask(request("GET", "/orders/none"), 404);
  shop.ask(request("GET", "/products/none"), 404);
  shop.ask(post("/products/none/restock", R"({"quantity":1})"), 404);

  ApiOptions closed{"a"};
  closed.is_async = true;
  closed.user_limit = 1;
  Shop other(closed);
  other.ask(post("/orders", kOrder, "k1"), 202);
  other.ask(post("/orders", kOrder, "k2"), 429);
  other.ask(post("/products/p1/restock", R"({"quantity":1})"), 403);
  ApiOptions failing{"a"};
  failing.fail_rate = 1;
  Shop third(failing);
  third.ask(request("GET", "/products"), 503);
}
