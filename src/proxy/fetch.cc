#include "sluice/proxy/fetch.h"

#include <algorithm>
#include <new>
#include <utility>

#include "copy_head.h"
#include "sluice/base/check.h"
#include "sluice/cache/policy_reuse.h"
#include "sluice/cache/policy_update.h"
#include "sluice/cache/vary.h"
#include "sluice/proxy/exchange.h"

namespace sluice::proxy {
namespace {

constexpr Duration kTooLargeFor = std::chrono::minutes(10);

// Fields that make an answer one client's: its conditions, and the range it asks for.
bool is_of_client(http::FieldId id, bool keeps_range) noexcept {
  switch (id) {
    case http::FieldId::kIfNoneMatch:
    case http::FieldId::kIfModifiedSince:
      return true;
    case http::FieldId::kRange:
    case http::FieldId::kIfRange:
      return !keeps_range;
    default:
      return false;
  }
}

// What to ask for so that the answer may be stored for all: by GET, without what is the client's.
http::RequestHead as_fetched(const http::RequestHead& from, bool keeps_range, Arena& arena) {
  http::RequestHead head = from;
  head.method = http::Method::get;
  head.method_text = "GET";
  auto* fields = arena.allocate_array<http::Field>(from.fields.size());
  size_t count = 0;
  for (const http::Field& field : from.fields) {
    if (!is_of_client(field.id, keeps_range)) new (&fields[count++]) http::Field(field);
  }
  head.fields = http::FieldList({fields, count});
  return head;
}

// With our conditions (RFC 9111 section 4.3.1).
http::RequestHead with_conditions(const http::RequestHead& from,
                                  const cache::Conditions& conditions, Arena& arena) {
  http::RequestHead head = from;
  auto* fields = arena.allocate_array<http::Field>(from.fields.size() + 2);
  size_t count = 0;
  for (const http::Field& field : from.fields) new (&fields[count++]) http::Field(field);
  auto add = [&](http::FieldId id, std::string_view name, std::string_view value) {
    if (!value.empty()) new (&fields[count++]) http::Field{name, value, id};
  };
  add(http::FieldId::kIfNoneMatch, "If-None-Match", conditions.if_none_match);
  add(http::FieldId::kIfModifiedSince, "If-Modified-Since", conditions.if_modified_since);
  head.fields = http::FieldList({fields, count});
  return head;
}

}  // namespace

// Beginning ---------------------------------------------------------------------------------------

Fetch* Fetch::start(const FetchOrder& order) {
  auto* fetch = new Fetch(order);
  fetch->begin();
  return fetch;
}

Fetch::Fetch(const FetchOrder& order)
    : site_(order.site),
      route_(order.route),
      arena_(order.site.kit().loop.chunks()),
      ip_(order.client.ip),
      listener_(order.client.listener),
      info_(order.client),
      flight_(order.flight),
      shared_(order.shared) {
  if (order.directives != nullptr) directives_ = *order.directives;
  site_.enter();
  site_.kit().background.push_back(*this);
  info_.ip = ip_;
  info_.listener = listener_;
  prepare(order);
}

void Fetch::prepare(const FetchOrder& order) {
  original_ = as_fetched(copy_head(order.request, arena_), order.is_for_range, arena_);
  url_ = {arena_.copy(order.url.scheme), arena_.copy(order.url.authority),
          arena_.copy(order.url.target)};
  key_ = order.key;
  key_.text = arena_.copy(order.key.text);
  key_.url = key_.text.substr(static_cast<size_t>(order.key.url.data() - order.key.text.data()),
                              order.key.url.size());
  target_ = arena_.copy(order.target);
  request_id_ = arena_.copy(order.request_id);
  traceparent_ = arena_.copy(order.traceparent);
  request_ = original_;
  if (order.lack != EntrySender::Lack::none) {
    base_ = Ref<cache::Entry>(const_cast<cache::Entry*>(order.matching));
    if (order.lack == EntrySender::Lack::whole) ask_for_missing();
    return;
  }
  if (order.stored != nullptr) validate(*order.stored, order.matching);
}

// What is stored is to be validated, if it can be.
void Fetch::validate(const cache::Variants& stored, const cache::Entry* matching) {
  stored_.clear();
  matching_ = std::nullopt;
  if (stored.is_empty()) return;
  auto* all = static_cast<cache::Stored*>(
      arena_.allocate(sizeof(cache::Stored) * cache::kMostStored, alignof(cache::Stored)));
  size_t count = 0;
  for (const Ref<cache::Entry>& entry : stored.all()) {
    if (entry.get() == matching) {
      matching_ = count;
    } else if (cache::has_gaps(*entry) ||
               !cache::may_select({entry->fields(), {}}, original_.fields)) {
      continue;  // a 304 that speaks of it would not do for the asker
    }
    stored_.add(entry);
    new (&all[count++]) cache::Stored{entry->fields(), entry->times().response};
  }
  stored_facts_ = {all, count};
  conditions_ = cache::conditions_for(stored_facts_, matching_, arena_);
  request_ = with_conditions(original_, conditions_, arena_);
}

Fetch::~Fetch() {
  SL_CHECK(exchange_ == nullptr && !flight_);
  Background::unlink();
  site_.leave();
}

void Fetch::ask() {
  purges_at_start_ = site_.kit().cache->store.purges().last();
  sent_ = wall_now();
  exchange_ = Exchange::create(site_, *this);
  exchange_->begin_fetch({request_, route_, target_, request_id_, traceparent_});
}

// The head ----------------------------------------------------------------------------------------

// RFC 9110 section 15.2: interim responses are the client's, who may have left.
void Fetch::send_interim(const http::ResponseHead& head) {
  if (answer_.add_interim(head)) has_news_ = true;
}

void Fetch::send_head(const http::ResponseHead& head, const http::ResponseForwarding& how) {
  SL_CHECK(verdict_ == Verdict::asking);
  endpoint_status_ = head.status;
  facts_ = exchange_->facts();
  has_news_ = true;
  if (!conditions_.is_empty()) {
    switch (cache::answer_of(head.status)) {
      case cache::ValidationAnswer::not_modified:
        if (freshen(head)) return;
        asks_again_ = true;
        conditions_ = {};
        request_ = original_;
        return;
      case cache::ValidationAnswer::replaced:
      case cache::ValidationAnswer::failed:
        break;
    }
  }
  if (keeps_stale(head.status)) {
    refused_ = cache::NoStoreReason::kStatus;
    return pass(head, how);
  }
  if (missing_ && head.status == 206 && complete_base(head, how)) return;
  // A part that does not fit, or no such range any more.
  if (missing_ && (head.status == 206 || head.status == 412 || head.status == 416)) {
    return ask_for_all();
  }
  missing_ = std::nullopt;
  if (!try_store(head, how)) pass(head, how);
}

// RFC 5861 section 4: an error, cacheable or not, does not take the place of what may be served.
bool Fetch::keeps_stale(int status) const noexcept {
  const auto failure = cache::failure_of(status);
  if (!failure || !matching_) return false;
  const http::RequestDirectives none;
  return cache::may_serve_after(*failure, cache::facts_of(*stored_.all()[*matching_]),
                                directives_ ? *directives_ : none, route_.cache->rules, wall_now());
}

// Into an entry whose body grows (RFC 9111 section 3).
bool Fetch::try_store(const http::ResponseHead& head, const http::ResponseForwarding& how) {
  cache::MemoryStore& store = site_.kit().cache->store;
  cache::StoreFacts facts{original_, url_,       head,
                          sent_,     wall_now(), static_cast<uint32_t>(site_.kit().random.next())};
  const cache::StorePlan plan = cache::judge_store(facts, route_.cache->rules, arena_);
  refused_ = plan.refused;
  if (plan.is_stored() && plan.range) {
    keep_part(plan, head, how);
    return false;
  }
  std::optional<uint64_t> length;
  if (how.framing.kind == http::BodyKind::none) length = 0;
  if (how.framing.kind == http::BodyKind::length) length = how.framing.length;
  if (length && !store.may_store(*length)) refused_ = cache::NoStoreReason::kTooLarge;
  if (refused_ != cache::NoStoreReason::kNone) return false;
  growing_ = cache::Body::make(store.budget(), length);
  if (growing_) {
    const cache::EntryPart part{0, growing_};
    cache::EntrySpec spec = cache::spec_of(
        plan, key_, cache::vary_of(plan.vary, original_.fields, arena_), purges_at_start_);
    spec.complete_length = length;
    spec.parts = {&part, 1};
    entry_ = cache::Entry::make(store.budget(), spec);
  }
  if (!entry_) {
    growing_ = nullptr;
    refused_ = cache::NoStoreReason::kNoRoom;
    return false;
  }
  verdict_ = Verdict::serve;
  if (flight_) flight_->grow(entry_);
  return true;
}

// To the asker alone.
void Fetch::pass(const http::ResponseHead& head, const http::ResponseForwarding& how) {
  verdict_ = Verdict::pass;
  WorkerKit& kit = site_.kit();
  // RFC 9111 section 4.3.3: this is the response now, not what was to be validated.
  const cache::Entry* old = matching_ ? stored_.all()[*matching_].get() : base_.get();
  const bool is_of_resource = cache::is_of_resource(original_, head.status, refused_);
  // What an endpoint that is not well says is no reason to ask it without end.
  const bool is_marked = cache::is_marked(refused_, http::Method::get) &&
                         !cache::failure_of(head.status) && (old == nullptr || is_of_resource);
  kit.cache->markers.set(key_.hash, refused_, kit.loop.now(),
                         is_marked ? route_.cache->rules.uncacheable_ttl : Duration{0});
  // A 206 or 416 says nothing of the rest.
  if (is_of_resource && head.status != 206) {
    if (old != nullptr) forget(*old);
    if (old == nullptr && may_be_shared_ && is_marked && kit.shared != nullptr) {
      kit.shared->remove_all(key_);
    }
  }
  look_.release();  // other hosts need not wait for what will not be stored
  end_flight(cache::Flight::State::refused, {}, head.status);
  answer_.set_head(head, how.extra_lines);
}

// A 304 to our conditions (RFC 9111 sections 4.3.3 and 4.3.4). False when it speaks of nothing that
// is stored.
bool Fetch::freshen(const http::ResponseHead& head) {
  WorkerKit& kit = site_.kit();
  const cache::Stored answer{head.fields, wall_now()};
  const cache::StoredSet chosen = cache::select_stored(stored_facts_, conditions_.asked, answer);
  if (chosen == 0) return false;
  bool is_for_asker_alone = false;
  for (size_t i = 0; i < stored_.all().size(); ++i) {
    if ((chosen >> i & 1) == 0) continue;
    const cache::Entry& old = *stored_.all()[i];
    const bool is_ours = matching_ ? *matching_ == i : !entry_;
    const cache::Update update = updated(old, head, is_ours);
    Ref<cache::Entry> entry;
    if (update.spec && (is_ours || update.is_stored())) {
      entry = cache::Entry::make(kit.cache->store.budget(), *update.spec);
    }
    if (is_ours) {
      is_for_asker_alone = !update.is_stored();
      entry_ = entry ? entry : Ref<cache::Entry>(stored_.all()[i]);
    }
    if (!entry || !update.is_stored()) continue;
    write_behind(entry);
    kit.cache->store.put(std::move(entry));
  }
  if (!entry_) return false;
  kit.counters.add(stats::Counter::cache_revalidations);
  was_validated_ = true;
  verdict_ = Verdict::serve;
  look_.release();
  if (is_for_asker_alone) {
    end_flight(cache::Flight::State::refused);
  } else {
    if (flight_) flight_->grow(entry_);
    end_flight(cache::Flight::State::stored);
  }
  return true;
}

// The stored response with what a 304 or 206 says of it.
cache::Update Fetch::updated(const cache::Entry& old, const http::ResponseHead& head,
                             bool is_for_request) {
  const cache::UpdateFacts facts{original_,        url_,
                                 head.fields,      sent_,
                                 wall_now(),       static_cast<uint32_t>(site_.kit().random.next()),
                                 purges_at_start_, is_for_request};
  cache::Update update = cache::judge_update(old, facts, route_.cache->rules, arena_);
  if (cache::is_marked(update.refused, http::Method::get) &&
      cache::is_of_resource(original_, old.status(), update.refused)) {
    forget(old);
  }
  return update;
}

// The body ----------------------------------------------------------------------------------------

void Fetch::send_body(Chain&& given) {
  Chain bytes = std::move(given);  // the giver's is empty from now on, whatever becomes of them
  has_news_ = true;
  if (asks_again_) return;
  if (verdict_ == Verdict::pass || is_overflowing_) {
    if (place_ && growing_) add_to_part(bytes);
    answer_.add_body(std::move(bytes));
    return;
  }
  if (!growing_) return;
  const uint64_t before = growing_->size();
  const bool fits = site_.kit().cache->store.may_store(before + bytes.size());
  if (!fits || !growing_->append(bytes)) return overflow(bytes, before);
  if (flight_) flight_->note_growth();
}

// The rest goes to the asker as it comes; others who read along cannot be served any more.
void Fetch::overflow(const Chain& bytes, uint64_t before) {
  refused_ = cache::NoStoreReason::kTooLarge;
  // Behind a part that fills a gap there may be others, which do not come this way.
  is_overflowing_ = !missing_;
  if (is_overflowing_) answer_.add_body(bytes, growing_->size() - before);
  growing_->fail();
  growing_ = nullptr;
  // Each time that is forgotten those who read along are cut off.
  site_.kit().cache->markers.set(key_.hash, refused_, site_.kit().loop.now(),
                                 std::max(route_.cache->rules.uncacheable_ttl, kTooLargeFor));
  look_.release();
  // Who has sent nothing of it yet asks for itself; for the others it broke off.
  end_flight(cache::Flight::State::refused);
}

void Fetch::send_end(const http::FieldList* trailers) {
  has_news_ = true;
  if (asks_again_) return;
  if (growing_ && !place_) return store_whole();
  if (growing_) store_part();
  answer_.finish(trailers);
}

void Fetch::store_whole() {
  Ref<cache::Body> body = std::exchange(growing_, nullptr);
  if (!body->complete()) {
    return end_flight(cache::Flight::State::failed, Error(Errc::kResponseIncomplete));
  }
  WorkerKit& kit = site_.kit();
  Ref<cache::Entry> entry = cache::settled(kit.cache->store.budget(), entry_);
  if (entry && kit.cache->store.put(entry) == cache::PutResult::stored) {
    kit.counters.add(stats::Counter::cache_stores);
    kit.cache->markers.clear(key_.hash);
  }
  if (entry) write_behind(entry);
  look_.release();
  end_flight(cache::Flight::State::stored);
}

// Failing -----------------------------------------------------------------------------------------

Error Fetch::error() const noexcept {
  // The rest of what is of no use need not come.
  const bool is_in_vain = (asks_again_ && endpoint_status_ != 304) ||
                          (missing_ && refused_ == cache::NoStoreReason::kTooLarge);
  if (is_in_vain) return Error(Errc::kClientGone);
  const bool is_for_asker_alone =
      (verdict_ == Verdict::pass || is_overflowing_) && !(place_ && growing_);
  return is_for_asker_alone && !answer_.is_wanted() ? Error(Errc::kClientGone) : Error();
}

bool Fetch::take_error(Error error) noexcept {
  facts_ = exchange_->facts();
  error_ = error;
  verdict_ = Verdict::failed;
  has_news_ = true;
  end_flight(cache::Flight::State::failed, error);
  return true;
}

// The exchange is over without a whole response.
void Fetch::abort(CloseReason) noexcept {
  Error why = exchange_->error();
  exchange_ = nullptr;
  has_news_ = true;
  if (asks_again_ && why.code() == Errc::kClientGone) return tell();  // cut by ourselves
  asks_again_ = false;
  if (!why) why = Error(Errc::kResponseIncomplete);
  if (verdict_ == Verdict::asking) verdict_ = Verdict::failed;
  if (growing_) std::exchange(growing_, nullptr)->fail();
  if (!answer_.is_complete() && !error_) error_ = why;
  end_flight(cache::Flight::State::failed, why);
  tell();
}

void Fetch::end() noexcept {
  exchange_ = nullptr;
  has_news_ = true;
  tell();
}

void Fetch::cancel() noexcept {
  Background::unlink();
  asks_again_ = false;
  look_.cancel();
  if (exchange_ != nullptr) return exchange_->cancel(Errc::kDraining);
  if (verdict_ != Verdict::asking) return;
  verdict_ = Verdict::failed;
  error_ = Error(Errc::kDraining);
  has_news_ = true;
  tell();
}

void Fetch::end_flight(cache::Flight::State state, Error error, int status) noexcept {
  if (!flight_) return;
  Ref<cache::Flight> flight = std::exchange(flight_, nullptr);
  site_.kit().cache->flights.finish(*flight);
  flight->end(state, error, status);
}

// The asker ---------------------------------------------------------------------------------------

void Fetch::on_asker_progress() noexcept {
  wakes_exchange_ = true;
  tell();
}

void Fetch::tell() noexcept { site_.kit().loop.at_turn_end(*this); }

void Fetch::on_turn_end() noexcept {
  if (asks_again_ && exchange_ == nullptr) {
    asks_again_ = false;
    ask();
  }
  if (std::exchange(has_news_, false)) answer_.tell();
  if (std::exchange(wakes_exchange_, false) && exchange_ != nullptr) {
    exchange_->on_client_progress();
  }
  const bool is_under_way = exchange_ != nullptr || asks_again_ || look_.is_pending();
  if (is_under_way || answer_.is_wanted() || is_buried_) return;
  is_buried_ = true;
  end_flight(cache::Flight::State::failed, Error(Errc::kCancelled));
  site_.kit().loop.bury(this);
}

}  // namespace sluice::proxy
