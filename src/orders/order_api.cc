#include "sluice/orders/order_api.h"

#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sluice/http/forwarding.h"
#include "sluice/orders/openapi.h"
#include "sluice/orders/page/event_feed.h"
#include "sluice/orders/page/page.h"
#include "sluice/orders/purge/purger.h"
#include "sluice/orders/reply_json.h"
#include "sluice/orders/request_json.h"
#include "sluice/stats/prometheus.h"

namespace sluice::orders {
namespace {

using proxy::HandlerReply;

// Faults on purpose are for what clients want, not for what watches over it.
bool has_faults(Resource resource) noexcept {
  switch (resource) {
    case Resource::healthz:
    case Resource::readyz:
    case Resource::status:
    case Resource::metrics:
    case Resource::events:
    case Resource::openapi:
    case Resource::page:
    case Resource::page_css:
    case Resource::page_js:
      return false;
    case Resource::products:
    case Resource::product:
    case Resource::restock:
    case Resource::orders:
    case Resource::order:
    case Resource::none:
      return true;
  }
  return true;
}

std::string group_of(std::string_view product_id) {
  return fmt::format("\"product-{}\"", product_id);
}

// A group is one origin's alone; the tags are for --purge, which does not know the names under
// which clients reach other hosts. sluice takes them away.
void set_cacheable(HandlerReply& reply, std::string groups,
                   const std::vector<std::string>& product_ids) {
  reply.fields.emplace_back("Cache-Control", "public, max-age=1, stale-while-revalidate=5");
  reply.fields.emplace_back("Cache-Groups", std::move(groups));  // RFC 9875
  reply.fields.emplace_back("Cache-Tag",
                            fmt::format("{}", fmt::join(purge_tags(product_ids), ", ")));
}

void set_no_store(HandlerReply& reply) { reply.fields.emplace_back("Cache-Control", "no-store"); }

// The list of all products shows the stock too, so its group goes as well.
void set_invalidation(HandlerReply& reply, const std::vector<std::string>& product_ids) {
  if (product_ids.empty()) return;
  std::string groups = "\"products\"";
  for (const std::string& id : product_ids) groups += ", " + group_of(id);
  reply.fields.emplace_back("Cache-Group-Invalidation", std::move(groups));
}

Refusal key_reused() {
  return {Problem::kKeyReused, "this Idempotency-Key was used for another order"};
}

Refusal to_refusal(const Placed& placed) {
  switch (placed.verdict) {
    case Verdict::key_reused:
      return key_reused();
    case Verdict::unknown_product:
      return {Problem::kUnknownProduct, "there is no product " + placed.product_id};
    case Verdict::sold_out:
      return {Problem::kSoldOut,
              fmt::format("of {} there are {} left, {} were ordered", placed.product_id,
                          placed.available, placed.requested)};
    case Verdict::user_limit:
      return {Problem::kUserLimit, "this user has as many orders as are allowed"};
    case Verdict::accepted:
    case Verdict::replayed:
      break;
  }
  SL_CHECK(false);
  return {};
}

}  // namespace

OrderApi::OrderApi(loop::Loop& loop, OrderStore& store, ApiOptions options)
    : store_(store),
      options_(std::move(options)),
      timer_(loop::Timer::make<&OrderApi::on_due>(loop, this)),
      rate_limit_(options_.rate_limit) {}

void OrderApi::handle(Call call) {
  if (options_.delay == Duration(0) || !has_faults(parse_target(call->request().path).resource)) {
    serve(call);
    return;
  }
  const TimePoint due = call->loop().now() + options_.delay;
  delayed_.push_back({due, std::move(call)});
  if (!timer_.is_set()) timer_.set(due);
}

void OrderApi::on_due() noexcept {
  const TimePoint now = timer_.loop().now();
  timer_.cancel();
  while (!delayed_.empty() && delayed_.front().due <= now) {
    const Call call = std::move(delayed_.front().call);
    delayed_.pop_front();
    if (!call->is_gone()) serve(call);
  }
  if (!delayed_.empty()) timer_.set(delayed_.front().due);
}

void OrderApi::serve(const Call& call) {
  const proxy::HandlerRequest& request = call->request();
  const Target target = parse_target(request.path);
  if (target.resource == Resource::none) {
    return refuse(call, Refusal{Problem::kUnknown, "see /products, /orders, /status"});
  }
  if (!is_allowed(target.resource, request.method_text)) {
    const std::string allowed(allowed_methods(target.resource));
    HandlerReply answer = problem_reply({Problem::kMethod, "allowed here: " + allowed});
    answer.fields.emplace_back("Allow", allowed);
    return reply(call, std::move(answer));
  }
  if (has_faults(target.resource) && random_.unit() < options_.fail_rate) {
    return refuse(call, Refusal{Problem::kFailRate, {}});
  }
  if (request.method != http::Method::post) return get(call, target);
  if (target.resource == Resource::orders) return post_order(call);
  post_restock(call, std::string(target.id));
}

void OrderApi::get(const Call& call, const Target& target) {
  std::string id(target.id);
  switch (target.resource) {
    case Resource::products:
      return store_.products(answer<std::vector<Product>>(call, [this](const auto& products) {
        HandlerReply reply = json(products_body(products));
        set_cacheable(reply, "\"products\"", {});
        return reply;
      }));
    case Resource::product:
      return store_.product(
          id, answer<std::optional<Product>>(call, [this](const auto& product) {
            if (!product) return problem_reply({Problem::kUnknown, "there is no such product"});
            HandlerReply reply = json(product_body(*product));
            set_cacheable(reply, "\"products\", " + group_of(product->id), {product->id});
            return reply;
          }));
    case Resource::order:
      return store_.order(id, answer<std::optional<Order>>(call, [this](const auto& order) {
                            if (!order)
                              return problem_reply({Problem::kUnknown, "there is no such order"});
                            HandlerReply reply = json(order_body(*order));
                            set_no_store(reply);
                            return reply;
                          }));
    case Resource::orders:
      return get_orders(call);
    case Resource::status:
    case Resource::metrics:
      return get_totals(call, target.resource == Resource::metrics);
    case Resource::readyz:
      if (is_draining_) return refuse(call, Refusal{Problem::kDraining, {}});
      return get_health(call);
    case Resource::healthz:
      return get_health(call);
    case Resource::events:
      return get_events(call);
    case Resource::page:
      return reply(call, page_reply(PagePart::html));
    case Resource::page_css:
      return reply(call, page_reply(PagePart::css));
    case Resource::page_js:
      return reply(call, page_reply(PagePart::js));
    case Resource::openapi:
      return reply(call, json(std::string(openapi_document())));
    case Resource::restock:
    case Resource::none:
      break;
  }
  SL_CHECK(false);
}

void OrderApi::get_orders(const Call& call) {
  Checked<std::string> user = query_value(call->request().query, "user");
  if (!user) return refuse(call, user.refusal);
  store_.orders_of(std::move(user.value),
                   answer<std::vector<Order>>(call, [this](const auto& orders) {
                     HandlerReply reply = json(orders_body(orders));
                     set_no_store(reply);
                     return reply;
                   }));
}

void OrderApi::get_totals(const Call& call, bool as_metrics) {
  store_.totals(answer<Totals>(call, [this, as_metrics](const Totals& totals) {
    const StatusFacts facts{options_.name, store_.text(), store_.queue_depth()};
    HandlerReply reply = json(as_metrics ? metrics_text(facts, counts_, totals, more_metrics_)
                                         : status_body(facts, totals));
    if (as_metrics) reply.fields[0].second = stats::PrometheusWriter::kContentType;
    set_no_store(reply);
    return reply;
  }));
}

void OrderApi::get_health(const Call& call) {
  store_.ping(answer<Ok>(call, [](const Ok&) {
    HandlerReply reply{200, {{"Content-Type", "text/plain"}}, "ok\n"};
    set_no_store(reply);
    return reply;
  }));
}

void OrderApi::get_events(const Call& call) {
  if (is_draining_) return refuse(call, Refusal{Problem::kDraining, {}});
  if (feed_ == nullptr || !feed_->add(call)) {
    refuse(call, Refusal{Problem::kTooManyViewers, "come back in a moment"});
  }
}

void OrderApi::post_order(const Call& call) {
  const Checked<bool> body = check_body(call->request());
  if (!body) return refuse(call, body.refusal);
  Checked<std::string> key = idempotency_key(call->request());
  if (!key) return refuse(call, key.refusal);
  Checked<NewOrder> order = parse_order(call->request().body);
  if (!order) return refuse(call, order.refusal);

  if (!rate_limit_.admit(call->loop().now())) {
    return refuse(call, Refusal{Problem::kRateLimit,
                                fmt::format("at most {} orders a second", options_.rate_limit)});
  }

  order.value.key = key.value;
  order.value.reply_status = options_.is_async ? 202 : 201;
  order.value.user_limit = options_.user_limit;
  order.value.request_id = call->request().request_id;
  const std::string_view trace = call->request().field("traceparent");
  if (http::is_valid_traceparent(trace)) order.value.traceparent = trace;
  const auto [place, is_first] = keys_in_progress_.emplace(key.value, order.value.fingerprint);
  if (!is_first) {
    const bool is_same = place->second == order.value.fingerprint;
    return refuse(call,
                  is_same ? Refusal{Problem::kInProgress, "ask again in a moment"} : key_reused());
  }
  store_.place(std::move(order.value), [this, call, key = key.value](Result<Placed> result) {
    keys_in_progress_.erase(key);
    answer_placed(call, std::move(result));
  });
}

void OrderApi::answer_placed(const Call& call, Result<Placed> result) {
  if (!result) return refuse(call, result.error());
  if (result->verdict != Verdict::accepted && result->verdict != Verdict::replayed) {
    return refuse(call, to_refusal(*result));
  }
  const bool is_new = result->verdict == Verdict::accepted;
  ++(is_new ? counts_.accepted : counts_.replayed);
  if (is_new && on_accepted_) on_accepted_();
  StoredReply& stored = result->reply;
  HandlerReply answer = json(std::move(stored.body));
  answer.status = stored.status;
  set_no_store(answer);
  answer.fields.emplace_back("Location", "/orders/" + stored.order_id);
  if (!is_new) {
    answer.fields.emplace_back("Idempotency-Replayed", "true");
  }
  set_invalidation(answer, stored.sold_out);
  if (on_stock_ && !stored.sold_out.empty()) on_stock_(stored.sold_out);
  reply(call, std::move(answer));
}

void OrderApi::post_restock(const Call& call, std::string product_id) {
  if (!options_.allow_restock) {
    return refuse(call, Refusal{Problem::kForbidden, "run with --allow-restock to allow it"});
  }
  const Checked<bool> body = check_body(call->request());
  if (!body) return refuse(call, body.refusal);
  const Checked<int64_t> quantity = parse_restock(call->request().body);
  if (!quantity) return refuse(call, quantity.refusal);
  store_.restock(std::move(product_id), quantity.value,
                 answer<std::optional<Product>>(call, [this](const auto& product) {
                   if (product && on_stock_) on_stock_({product->id});
                   if (!product) {
                     return problem_reply({Problem::kUnknown, "there is no such product"});
                   }
                   HandlerReply reply = json(product_body(*product));
                   set_no_store(reply);
                   set_invalidation(reply, {product->id});
                   return reply;
                 }));
}

template <typename T, typename Make>
Answer<T> OrderApi::answer(const Call& call, Make make) {
  return [this, call, make](Result<T> result) {
    if (!result) return refuse(call, result.error());
    reply(call, make(*result));
  };
}

HandlerReply OrderApi::json(std::string body) const {
  return {200, {{"Content-Type", "application/json"}}, std::move(body)};
}

// The reason of sluice is the word of the problem, but for what the order API refuses itself too.
std::optional<HandlerReply> OrderApi::dress(const proxy::EarlyRefusal& refusal) const {
  ProblemRow row{refusal.reason, refusal.status, refusal.help};
  for (Problem ours : {Problem::kMalformed, Problem::kMethod, Problem::kTooLarge}) {
    if (problem_row(ours).status == refusal.status) row = problem_row(ours);
  }
  HandlerReply reply = problem_reply(row, refusal.help);
  reply.fields.emplace_back("X-Backend", options_.name);
  return reply;
}

void OrderApi::reply(const Call& call, HandlerReply reply) const {
  if (call->is_gone()) return;
  reply.fields.emplace_back("X-Backend", options_.name);
  call->reply(std::move(reply));
}

void OrderApi::refuse(const Call& call, const Refusal& refusal) {
  ++counts_.refused[static_cast<size_t>(refusal.problem)];
  reply(call, problem_reply(refusal));
}

void OrderApi::refuse(const Call& call, Error error) {
  switch (error.code()) {
    case Errc::kQueueFull:
    case Errc::kQueueTimeout:
      return refuse(call, Refusal{Problem::kBusy, error.text()});
    case Errc::kBreakerOpen:
      return refuse(call, Refusal{Problem::kGateAway, error.text()});
    default:
      return refuse(call, Refusal{Problem::kUnavailable, "the database failed; see the log"});
  }
}

}  // namespace sluice::orders
