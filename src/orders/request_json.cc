#include "sluice/orders/request_json.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sluice/base/hash.h"

namespace sluice::orders {
namespace {

using Json = nlohmann::json;
using Fault = std::optional<Refusal>;

// The parser keeps the last of two equal names silently, so the names are watched as they come.
class NameWatch {
 public:
  bool operator()(int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      open_.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      open_.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto& name = parsed.get_ref<const std::string&>();
      if (!open_.back().insert(name).second && !twice_) twice_ = name;
    }
    return true;
  }
  const std::optional<std::string>& twice() const noexcept { return twice_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::optional<std::string> twice_;
};

// What came, shortened for an answer.
std::string shown(std::string_view text) {
  constexpr size_t kMost = 64;
  if (text.size() <= kMost) return fmt::format("\"{}\"", text);
  return fmt::format("\"{}…\"", text.substr(0, kMost));
}

Checked<Json> read(std::string_view text) {
  NameWatch watch;
  Json json = Json::parse(text.begin(), text.end(), std::ref(watch), false);
  if (json.is_discarded()) return Refusal{Problem::kMalformed, "the body is not valid JSON"};
  if (watch.twice()) {
    return Refusal{Problem::kDuplicateField,
                   fmt::format("the field {} stands twice in one object", shown(*watch.twice()))};
  }
  return json;
}

// `where` is "" or the place of the object with its dot: "items[0]."
Fault check_fields(const Json& object, std::string_view where,
                   std::initializer_list<std::string_view> names) {
  if (!object.is_object()) {
    std::string_view place = where.empty() ? "the body" : where.substr(0, where.size() - 1);
    return Refusal{Problem::kWrongType, fmt::format("{} must be an object", place)};
  }
  for (const auto& [name, value] : object.items()) {
    if (std::ranges::find(names, name) == names.end()) {
      return Refusal{Problem::kExtraField, fmt::format("{}{} is not a field", where, shown(name))};
    }
  }
  for (std::string_view name : names) {
    if (!object.contains(name)) {
      return Refusal{Problem::kMissingField, fmt::format("{}{} is missing", where, name)};
    }
  }
  return {};
}

struct TextRule {
  std::string_view place;
  size_t most = 0;
};

Fault read_text(const Json& json, const TextRule& rule, std::string* out) {
  if (!json.is_string()) {
    return Refusal{Problem::kWrongType, fmt::format("{} must be a string", rule.place)};
  }
  *out = json.get<std::string>();
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (out->empty() || out->size() > rule.most || std::ranges::any_of(*out, is_control)) {
    return Refusal{
        Problem::kBadValue,
        fmt::format("{} must have 1 to {} bytes and no control characters", rule.place, rule.most)};
  }
  return {};
}

struct NumberRule {
  std::string_view place;
  int64_t from = 0;
  int64_t to = 0;
  Problem problem = Problem::kBadValue;  // when it is out of range
};

Fault read_number(const Json& json, const NumberRule& rule, int64_t* out) {
  if (!json.is_number_integer()) {
    return Refusal{Problem::kWrongType, fmt::format("{} must be an integer", rule.place)};
  }
  const bool is_huge = json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX;
  *out = is_huge ? INT64_MAX : json.get<int64_t>();
  if (*out < rule.from || *out > rule.to) {
    return Refusal{rule.problem,
                   fmt::format("{} must be in {}..{}", rule.place, rule.from, rule.to)};
  }
  return {};
}

Fault read_line(const Json& json, size_t index, OrderLine* line) {
  const std::string where = fmt::format("items[{}].", index);
  if (Fault fault = check_fields(json, where, {"product_id", "quantity"})) return fault;
  // No product has a longer id, and a longer one is as unknown as any other.
  if (Fault fault =
          read_text(json["product_id"], {where + "product_id", kMostUserId}, &line->product_id)) {
    return fault->problem == Problem::kWrongType
               ? fault
               : Refusal{Problem::kUnknownProduct, where + "product_id names no product"};
  }
  return read_number(json["quantity"], {where + "quantity", 1, kMostQuantity, Problem::kQuantity},
                     &line->quantity);
}

std::string fingerprint_of(const NewOrder& order) {
  std::string text = order.user_id;
  for (const OrderLine& line : order.lines) {
    // Ids have no control characters, so no two orders give one text.
    text += fmt::format("\n{}\t{}", line.product_id, line.quantity);
  }
  return fmt::format("{:016x}{:016x}", hash64(text, 1), hash64(text, 2));
}

bool is_product_id(std::string_view id) noexcept {
  return std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

Fault read_product(const Json& json, size_t index, Product* product) {
  const std::string where = fmt::format("products[{}].", index);
  Fault fault = check_fields(json, where, {"id", "name", "price_cents", "stock"});
  if (!fault) fault = read_text(json["id"], {where + "id", 64}, &product->id);
  if (!fault && !is_product_id(product->id)) {
    fault = Refusal{Problem::kBadValue, where + "id may only have letters, digits, '.', '_', '-'"};
  }
  if (!fault) fault = read_text(json["name"], {where + "name", 200}, &product->name);
  if (!fault) {
    fault = read_number(json["price_cents"], {where + "price_cents", 0, kMostPrice},
                        &product->price_cents);
  }
  if (!fault) {
    fault = read_number(json["stock"], {where + "stock", 0, kMostStock}, &product->stock);
  }
  return fault;
}

}  // namespace

Checked<NewOrder> parse_order(std::string_view body) {
  Checked<Json> json = read(body);
  if (!json) return json.refusal;
  if (Fault fault = check_fields(json.value, "", {"user_id", "items"})) return *fault;
  NewOrder order;
  if (Fault fault = read_text(json.value["user_id"], {"user_id", kMostUserId}, &order.user_id)) {
    return *fault;
  }
  const Json& items = json.value["items"];
  if (!items.is_array()) return Refusal{Problem::kWrongType, "items must be an array"};
  if (items.empty() || items.size() > kMostLines) {
    return Refusal{Problem::kBadValue, fmt::format("items must have 1 to {} lines", kMostLines)};
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (Fault fault = read_line(items[i], i, &order.lines.emplace_back())) return *fault;
  }
  order.fingerprint = fingerprint_of(order);
  return order;
}

Checked<int64_t> parse_restock(std::string_view body) {
  Checked<Json> json = read(body);
  if (!json) return json.refusal;
  if (Fault fault = check_fields(json.value, "", {"quantity"})) return *fault;
  int64_t quantity = 0;
  if (Fault fault = read_number(json.value["quantity"],
                                {"quantity", 1, kMostRestock, Problem::kQuantity}, &quantity)) {
    return *fault;
  }
  return quantity;
}

Checked<std::vector<Product>> parse_seed(std::string_view text) {
  Checked<Json> json = read(text);
  if (!json) return json.refusal;
  if (Fault fault = check_fields(json.value, "", {"products"})) return *fault;
  const Json& list = json.value["products"];
  if (!list.is_array() || list.empty()) {
    return Refusal{Problem::kWrongType, "products must be an array with at least one product"};
  }
  std::vector<Product> products(list.size());
  std::set<std::string_view> ids;
  for (size_t i = 0; i < list.size(); ++i) {
    if (Fault fault = read_product(list[i], i, &products[i])) return *fault;
    if (!ids.insert(products[i].id).second) {
      return Refusal{Problem::kBadValue,
                     fmt::format("products[{}].id {} stands twice", i, shown(products[i].id))};
    }
  }
  return products;
}

std::vector<Product> default_seed() {
  constexpr int64_t kStock = 1000;
  return {{"p1", "Coffee mug", 1299, kStock},
          {"p2", "Notebook", 799, kStock},
          {"p3", "T-shirt", 1999, kStock},
          {"p4", "Backpack", 5499, kStock},
          {"p5", "Desk lamp", 3499, kStock}};
}

}  // namespace sluice::orders
