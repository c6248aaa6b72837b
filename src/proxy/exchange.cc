#include "sluice/proxy/exchange.h"

#include <algorithm>
#include <new>

#include "sluice/base/hash.h"
#include "sluice/base/strings.h"
#include "sluice/http/uri.h"
#include "sluice/loop/stream.h"
#include "sluice/proxy/local_call.h"
#include "sluice/proxy/local_reply.h"
#include "sluice/proxy/relay.h"
#include "sluice/proxy/retry.h"
#include "sluice/proxy/router.h"

namespace sluice::proxy {
namespace {

constexpr size_t kIdSize = 32;
constexpr int kStepBudget = 64;     // steps of one run() without waiting
constexpr size_t kMostOwnHops = 8;  // through this or other sluices, before it is taken for a loop

}  // namespace

// Birth -------------------------------------------------------------------------------------------

Exchange* Exchange::create(Site& site, ClientStream& client) {
  void* storage = site.kit().take_exchange_storage(sizeof(Exchange));
  return new (storage) Exchange(site, client);
}

Exchange::Exchange(Site& site, ClientStream& client) noexcept
    : site_(site),
      client_(&client),
      client_info_(client.client()),
      arena_(site.kit().loop.chunks()),
      timer_(loop::Timer::make<&Exchange::on_deadline>(site.kit().loop, this)) {
  site_.enter();
  site_.kit().counters.add(stats::Counter::exchanges_open);
}

Exchange::~Exchange() {
  site_.kit().counters.subtract(stats::Counter::exchanges_open);
  site_.leave();
}

void Exchange::dispose() noexcept {
  WorkerKit& kit = site_.kit();
  this->~Exchange();
  kit.give_exchange_storage(this);
}

void Exchange::begin(const http::RequestHead& head) noexcept {
  head_ = head;
  has_head_ = true;
  begin_ = site_.kit().loop.latest();
  choose_id();
  go(Step::kRoute);
  run();
}

void Exchange::begin_fetch(const FetchBegin& begin) noexcept {
  head_ = begin.head;
  has_head_ = is_fetch_ = true;
  begin_ = site_.kit().loop.latest();
  route_ = &begin.route;
  target_ = begin.target;
  request_id_ = begin.request_id;
  traceparent_ = begin.traceparent;
  go(Step::kAdmit);
  run();
}

void Exchange::refuse(Error error, const http::RequestHead* head) noexcept {
  if (head != nullptr) head_ = *head;
  has_head_ = head != nullptr;
  begin_ = site_.kit().loop.latest();
  choose_id();
  fail(error);
  run();
}

void Exchange::cancel(Errc why) noexcept {
  if (step_ == Step::kDone) return;
  error_ = Error(why);
  go(Step::kAbort);
  run();
}

// The drive ---------------------------------------------------------------------------------------

void Exchange::run() noexcept {
  if (is_running_) return;  // a handler that answers inside its call
  is_running_ = true;
  set_crash_context(&Exchange::print_crash, this);
  int budget = kStepBudget;
  while (step_ != Step::kDone && step() == Turn::go_on) {
    SL_CHECK(--budget > 0);
  }
  set_crash_context(nullptr, nullptr);
  is_running_ = false;
}

Exchange::Turn Exchange::step() noexcept {
  switch (step_) {
    case Step::kBorn:
    case Step::kDone:
      return Turn::wait;
    case Step::kRoute:
      return step_route();
    case Step::kHandle:
      return step_handle();
    case Step::kPurge:
      return step_purge();
    case Step::kAdmit:
      return step_admit();
    case Step::kLookup:
      return step_lookup();
    case Step::kFollow:
      return step_follow();
    case Step::kServe:
      return step_serve();
    case Step::kPick:
      return step_pick();
    case Step::kQueue:
      return step_queue();
    case Step::kAcquire:
      return step_acquire();
    case Step::kConnect:
      return step_connect();
    case Step::kSend:
      return step_send();
    case Step::kAwait:
      return step_await();
    case Step::kJudge:
      return step_judge();
    case Step::kRespond:
      return step_respond();
    case Step::kRelay:
      return step_relay();
    case Step::kReply:
      return step_reply();
    case Step::kFlush:
      return step_flush();
    case Step::kAbort:
      return step_abort();
    case Step::kFinish:
      return step_finish();
  }
  return Turn::wait;
}

void Exchange::go(Step next) noexcept {
  SL_CHECK(allowed(step_, next));
  step_ = next;
}

// Ends in an answer of our own, or in a cut when one has begun or nobody is left to get it.
Exchange::Turn Exchange::fail(Error error) noexcept {
  error_ = error;
  drop_upstream(CloseReason::kAborted);
  end_wait();
  bool may_answer =
      !response_begun_ && status_for(error.code()) != 0 && !client_->take_error(error);
  go(may_answer ? Step::kReply : Step::kAbort);
  return Turn::go_on;
}

// Route -------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_route() noexcept {
  SL_CHECK(route_ == nullptr && upstream_ == nullptr);
  // RFC 9110 sections 9.3.6 and 9.3.8: tunnels are not offered, and a request is not echoed back.
  if (head_.method == http::Method::connect || head_.method == http::Method::trace) {
    return fail(Error(Errc::kMethodRefused));
  }
  std::string_view path = head_.path.substr(0, head_.path.find('?'));
  if (path == "*") {
    path_ = path;
  } else {
    auto normal = http::normalise_path(path, arena_);
    if (!normal) return fail(normal.error());
    path_ = *normal;
  }
  if (site_.handler() != nullptr) {
    go(Step::kHandle);
    return Turn::go_on;
  }
  if (head_.method == http::Method::options) {
    if (const http::Field* field = head_.fields.find(http::FieldId::kMaxForwards)) {
      auto hops = parse_decimal(field->value);
      if (!hops || *hops > 1'000'000) return fail(Error(Errc::kBadRequest, "bad Max-Forwards"));
      // RFC 9110 section 7.6.2: at zero the request must not go on; we are its final recipient.
      if (*hops == 0) return answer_max_forwards();
      max_forwards_ = static_cast<int>(*hops) - 1;
    }
  }
  if (takes_purge()) {
    go(Step::kPurge);
    return Turn::go_on;
  }
  return choose_route() ? Turn::go_on : fail(Error(Errc::kNoRoute));
}

bool Exchange::choose_route() noexcept {
  auto index = find_route(*site_.snapshot(), head_, path_);
  if (!index) return false;
  route_ = &site_.route(*index);
  const config::Route& route = *route_->route;
  switch (route.action) {
    case config::Route::Action::kPool:
      target_ = route.strip_prefix.empty()
                    ? head_.path
                    : http::strip_prefix(head_.path, path_, route.strip_prefix, arena_);
      go(Step::kAdmit);
      break;
    case config::Route::Action::kRedirect:
      send_local(make_redirect(route.redirect, head_, arena_));
      break;
    case config::Route::Action::kRespond:
      send_local(make_fixed(route.respond, head_, arena_));
      break;
  }
  return true;
}

Exchange::Turn Exchange::answer_max_forwards() noexcept {
  config::Respond respond;
  respond.status = 204;
  send_local(make_fixed(respond, head_, arena_));
  return Turn::go_on;
}

// Accepts the client's request id, or makes one (contract, "On the wire").
void Exchange::choose_id() noexcept {
  const http::Field* given = head_.fields.find(http::FieldId::kXRequestId);
  if (given != nullptr && http::is_valid_request_id(given->value)) {
    request_id_ = given->value;
    return;
  }
  char* id = arena_.allocate_array<char>(kIdSize);
  site_.kit().write_id(id);
  request_id_ = {id, kIdSize};
  has_own_id_ = true;
}

// A trace that starts here, with our id where we made one; empty when the client's goes on. What
// never leaves for an endpoint needs none.
std::string_view Exchange::traceparent() noexcept {
  if (!traceparent_.empty()) return traceparent_;
  const http::Field* came = head_.fields.find(http::FieldId::kTraceparent);
  if (came != nullptr && http::is_valid_traceparent(came->value)) return {};
  char drawn[kIdSize];
  if (!has_own_id_) site_.kit().write_id(drawn);
  const char* id = has_own_id_ ? request_id_.data() : drawn;
  // W3C Trace Context: version, trace id, parent id, and the flag "not recorded".
  constexpr std::string_view kVersion = "00-";
  constexpr std::string_view kFlags = "-00";
  char* parent = arena_.allocate_array<char>(55);
  char* at = std::copy(kVersion.begin(), kVersion.end(), parent);
  at = std::copy_n(id, kIdSize, at);
  *at++ = '-';
  at = std::copy_n(id + kIdSize / 2, kIdSize / 2, at);
  std::copy(kFlags.begin(), kFlags.end(), at);
  traceparent_ = {parent, 55};
  return traceparent_;
}

// Admit -------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_admit() noexcept {
  SL_CHECK(route_ != nullptr && route_->pool != nullptr);
  if (Error error = client_->error()) return fail(error);
  if (target_ != "*" && target_.front() != '/') return fail(Error(Errc::kBadTarget));
  if (http::count_own_hops(head_.fields) >= kMostOwnHops) return fail(Error(Errc::kLoopDetected));
  if (route_->cache && site_.kit().cache != nullptr && !is_fetch_) {
    go(Step::kLookup);
    return Turn::go_on;
  }
  route_->pool->count_request(site_.kit().loop.now());
  go(Step::kPick);
  return Turn::go_on;
}

// Pick --------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_pick() noexcept {
  SL_CHECK(endpoint_ == nullptr && upstream_ == nullptr);
  upstream::Pool& pool = *route_->pool;
  upstream::PickInput input;
  const config::Pool& rule = pool.config();
  if (rule.balance.kind == config::Balance::Kind::kConsistentHash) input.hash = hash_key();
  if (!rule.sticky_cookie.empty()) input.sticky = cookie(rule.sticky_cookie);
  input.tried = {tried_.data(), tried_count_};
  input.now = site_.kit().loop.now();
  upstream::PickOutcome outcome = pool.pick_or_wait(input, *this);
  if (outcome.endpoint != nullptr) {
    endpoint_ = outcome.endpoint;
    last_endpoint_ = endpoint_->name();
    last_endpoint_id_ = endpoint_->id();
    set_sticky_ = outcome.set_sticky;
    ++attempts_;
    go(Step::kAcquire);
    return Turn::go_on;
  }
  if (!outcome.is_waiting) return fail(Error(outcome.error));
  site_.kit().counters.add(stats::Counter::queue_waits);
  if (!timer_.is_set()) {  // who was woken and overtaken does not begin anew
    wait_begin_ = monotonic_now();
    timer_.set_after(rule.queue.timeout);
  }
  go(Step::kQueue);
  return Turn::wait;
}

// What consistent_hash goes by; requests without it share one key.
uint64_t Exchange::hash_key() const noexcept {
  const config::HashBy& by = route_->pool->config().balance.hash_by;
  switch (by.kind) {
    case config::HashBy::Kind::kPath:
      return hash64(path_);
    case config::HashBy::Kind::kClient:
      return hash64(client_->client().ip);
    case config::HashBy::Kind::kHeader: {
      const http::Field* field = head_.fields.find(by.name);
      return hash64(field != nullptr ? field->value : std::string_view());
    }
    case config::HashBy::Kind::kCookie:
      return hash64(cookie(by.name));
  }
  return 0;
}

// RFC 6265 section 5.4: pairs separated by "; ".
std::string_view Exchange::cookie(std::string_view name) const noexcept {
  for (const http::Field& field : head_.fields) {
    if (field.id != http::FieldId::kCookie) continue;
    for (std::string_view rest = field.value; !rest.empty();) {
      size_t end = rest.find(';');
      std::string_view pair = trim(rest.substr(0, end));
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
      if (pair.size() > name.size() && pair[name.size()] == '=' && pair.starts_with(name)) {
        return pair.substr(name.size() + 1);
      }
    }
  }
  return {};
}

// Queue -------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_queue() noexcept {
  if (Error error = client_->error()) {
    upstream::Waiter::unlink();
    return fail(error);
  }
  return Turn::wait;  // on_place_free() or on_deadline() ends it
}

void Exchange::on_place_free() noexcept {
  SL_CHECK(step_ == Step::kQueue);
  go(Step::kPick);
  run();
}

// Acquire -----------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_acquire() noexcept {
  SL_CHECK(endpoint_ != nullptr && upstream_ == nullptr);
  end_wait();
  first_byte_time_ = Duration{0};
  WorkerKit& kit = site_.kit();
  upstream::UpstreamStream* idle = must_connect_ ? nullptr : kit.connections.take_idle(*endpoint_);
  if (idle != nullptr) {
    upstream_ = idle;
    go(Step::kSend);
    return Turn::go_on;
  }
  try_begin_ = monotonic_now();
  upstream::Pool& pool = *route_->pool;
  acquire_ = kit.connections.connect(pool.share(*endpoint_), pool.config().timeouts, this);
  go(Step::kConnect);
  return Turn::wait;
}

Exchange::Turn Exchange::step_connect() noexcept {
  if (Error error = client_->error()) return fail(error);
  return Turn::wait;
}

void Exchange::on_acquired(upstream::UpstreamStream* stream) noexcept {
  SL_CHECK(step_ == Step::kConnect);
  connect_time_ += monotonic_now() - try_begin_;
  upstream_ = stream;
  go(Step::kSend);
  run();
}

void Exchange::on_acquire_failed(Error error) noexcept {
  SL_CHECK(step_ == Step::kConnect);
  connect_time_ += monotonic_now() - try_begin_;
  try_error_ = error;
  go(Step::kJudge);
  run();
}

// Send --------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_send() noexcept {
  SL_CHECK(upstream_ != nullptr && endpoint_ != nullptr && !response_begun_);
  upstream_->begin(this, &arena_);
  upstream_->send_head(head_, forwarding());
  if (Chain again = replay_.replay(); !again.is_empty()) upstream_->send_body(std::move(again));
  sending_ = Sending::body;
  request_sent_ = TimePoint{};
  forward_request_body();
  upstream_->flush();
  go(Step::kAwait);
  return Turn::go_on;
}

http::RequestForwarding Exchange::forwarding() noexcept {
  const ClientInfo& client = client_->client();
  http::RequestForwarding how;
  how.target = target_;
  how.host = head_.authority.empty() ? endpoint_->host() : head_.authority;
  how.client_ip = client.ip;
  how.scheme = client.scheme;
  how.trusted_client = client.is_trusted;
  how.request_id = request_id_;
  how.traceparent = traceparent();
  how.max_forwards = max_forwards_;
  how.framing = head_.framing;
  how.pass_expect = head_.expect_continue;
  how.edits = route_->request_edits.is_empty() ? nullptr : &route_->request_edits;
  return how;
}

void Exchange::forward_request_body() noexcept {
  if (sending_ == Sending::done) return;
  Relayed relayed = relay_request(*client_, *upstream_, replay_);
  bytes_in_ += relayed.bytes;
  if (!relayed.ended) return;
  sending_ = Sending::done;
  // A first try without a body over an idle connection was sent when the request began.
  bool is_at_once = !head_.framing.has_body() && attempts_ == 1 && try_begin_ == TimePoint{} &&
                    wait_begin_ == TimePoint{};
  request_sent_ = is_at_once ? begin_ : monotonic_now();
}

// Await -------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_await() noexcept {
  SL_CHECK(upstream_ != nullptr && !response_begun_);
  if (upstream_->interim() != nullptr) forward_interim();
  if (upstream_->head() != nullptr) {
    // A try begins with request_sent_ unset when the answer came before the whole request was sent.
    TimePoint sent = request_sent_ == TimePoint{} ? begin_ : request_sent_;
    first_byte_time_ = monotonic_now() - sent;
    go(wants_retry_for(upstream_->head()->status) ? Step::kJudge : Step::kRespond);
    return Turn::go_on;
  }
  if (Error error = upstream_->error()) {
    try_error_ = error;
    go(Step::kJudge);
    return Turn::go_on;
  }
  if (Error error = client_->error()) return fail(error);
  forward_request_body();
  upstream_->flush();
  watch_upstream();
  return Turn::wait;
}

// RFC 9110 section 15.2: interim responses go on, but HTTP/1.0 does not know them.
void Exchange::forward_interim() noexcept {
  while (const http::ResponseHead* interim = upstream_->interim()) {
    if (head_.minor_version >= 1) {
      client_->send_interim(*interim);
      interim_sent_ = true;
    }
    upstream_->pop_interim();
  }
  client_->flush();
}

// The deadline of what we wait for from the endpoint now. It is not blamed while it is the client
// that is waited for: to read (then we paused the endpoint) or to send its body.
void Exchange::watch_upstream() noexcept {
  const config::PoolTimeouts& timeouts = route_->pool->config().timeouts;
  TimePoint now = site_.kit().loop.now();
  if (upstream_->is_paused()) {
    upstream_->expect_by(TimePoint{}, Errc::kNone);
  } else if (upstream_->pending() > 0) {
    upstream_->expect_by(now + timeouts.between_bytes, Errc::kSendStalled);
  } else if (sending_ == Sending::body && (response_begun_ || !client_->is_body_held())) {
    upstream_->expect_by(TimePoint{}, Errc::kNone);
  } else if (!response_begun_) {
    TimePoint asked = sending_ == Sending::body ? now : request_sent_;
    upstream_->expect_by(asked + timeouts.first_byte, Errc::kHeadLate);
  } else {
    upstream_->expect_by(now + timeouts.between_bytes, Errc::kResponseStalled);
  }
}

bool Exchange::wants_retry_for(int status) const noexcept {
  const auto& statuses = route_->pool->config().retry.on_statuses;
  return status >= 500 && std::find(statuses.begin(), statuses.end(), status) != statuses.end();
}

// Judge -------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_judge() noexcept {
  SL_CHECK(endpoint_ != nullptr && !response_begun_);
  upstream::Pool& pool = *route_->pool;
  const http::ResponseHead* response = upstream_ != nullptr ? upstream_->head() : nullptr;
  RetryFacts facts;
  facts.error = response == nullptr ? try_error_ : Error();
  facts.status = response == nullptr ? 0 : response->status;
  facts.method = head_.method;
  facts.connection_reused = upstream_ != nullptr && upstream_->is_reused();
  facts.response_bytes_came = upstream_ != nullptr && upstream_->has_response_bytes();
  facts.response_begun = interim_sent_;
  facts.body_replayable = replay_.is_replayable();
  facts.client_waits = client_->error().code() == Errc::kNone;
  facts.attempts = attempts_;
  facts.race_resent = race_resent_;
  switch (judge_retry(facts, pool.config().retry)) {
    case RetryVerdict::resend:
      race_resent_ = must_connect_ = true;
      site_.kit().counters.add(stats::Counter::keepalive_race_resends);
      drop_connection(CloseReason::kPeerClosed);
      go(Step::kAcquire);
      return Turn::go_on;
    case RetryVerdict::retry:
      if (!pool.take_retry(site_.kit().loop.now())) {
        site_.kit().counters.add(stats::Counter::retry_budget_exhausted);
        break;
      }
      site_.kit().counters.add(stats::Counter::retries);
      if (tried_count_ < tried_.size()) tried_[tried_count_++] = endpoint_;
      must_connect_ = false;
      drop_connection(CloseReason::kAborted);
      settle_try(true);
      go(Step::kPick);
      return Turn::go_on;
    case RetryVerdict::give_up:
      break;
  }
  if (response == nullptr) return fail(try_error_);
  go(Step::kRespond);
  return Turn::go_on;
}

// Respond -----------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_respond() noexcept {
  SL_CHECK(upstream_ != nullptr && upstream_->head() != nullptr && !response_begun_);
  const http::ResponseHead& response = *upstream_->head();
  if (cache_ != nullptr) {
    note_response(response);
  } else if (site_.has_cache()) {
    invalidate_for(response);
  }
  http::ResponseForwarding how;
  how.framing = response.framing;
  // RFC 9110 sections 8.6 and 9.3.2: HEAD and 304 may tell the length of what they do not carry.
  how.keep_length = head_.method == http::Method::head || response.status == 304;
  how.keep_alive = head_.keep_alive && !site_.kit().draining;
  how.request_id = request_id_;
  how.extra_lines = response_lines();
  how.edits = route_->response_edits.is_empty() ? nullptr : &route_->response_edits;
  how.hides_tags = route_->cache.has_value();
  how.hides_surrogate_control = route_->cache && route_->cache->is_surrogate;
  client_->send_head(response, how);
  status_ = response.status;
  response_begun_ = true;
  replay_.drop();
  go(Step::kRelay);
  return Turn::go_on;
}

std::string_view Exchange::sticky_line() noexcept {
  if (!set_sticky_) return {};
  const std::string& name = route_->pool->config().sticky_cookie;
  char value[16];
  upstream::Pool::write_sticky(*endpoint_, value);
  constexpr std::string_view kBegin = "Set-Cookie: ";
  constexpr std::string_view kEnd = "; Path=/; HttpOnly; SameSite=Lax\r\n";
  size_t size = kBegin.size() + name.size() + 1 + sizeof value + kEnd.size();
  char* line = arena_.allocate_array<char>(size);
  char* at = std::copy(kBegin.begin(), kBegin.end(), line);
  at = std::copy(name.begin(), name.end(), at);
  *at++ = '=';
  at = std::copy(value, value + sizeof value, at);
  std::copy(kEnd.begin(), kEnd.end(), at);
  return {line, size};
}

// Relay -------------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_relay() noexcept {
  SL_CHECK(upstream_ != nullptr && response_begun_);
  if (cache_ != nullptr) keep(upstream_->body());
  Relayed relayed = relay_response(*upstream_, *client_);
  bytes_out_ += relayed.bytes;
  // Before the client has it all: what it asks for next, perhaps of another worker, finds it.
  if (relayed.ended && cache_ != nullptr) end_keeping();
  client_->flush();
  if (relayed.ended) {
    upstream_->release();
    upstream_ = nullptr;
    settle_try(status_ == 502 || status_ == 503 || status_ == 504);
    go(Step::kFlush);
    return Turn::go_on;
  }
  if (Error error = upstream_->error()) return fail(error);
  if (Error error = client_->error()) return fail(error);
  forward_request_body();
  upstream_->flush();
  size_t pending = client_->pending();
  if (pending > loop::kHighWatermark) upstream_->pause_body();
  if (pending < loop::kLowWatermark) upstream_->resume_body();
  watch_upstream();
  return Turn::wait;
}

// The end -----------------------------------------------------------------------------------------

Exchange::Turn Exchange::step_flush() noexcept {
  if (Error error = client_->error(); error && status_for(error.code()) == 0) return fail(error);
  if (client_->pending() > 0) return Turn::wait;
  go(Step::kFinish);
  return Turn::go_on;
}

Exchange::Turn Exchange::step_abort() noexcept {
  timer_.cancel();
  upstream::Waiter::unlink();
  drop_upstream(CloseReason::kAborted);
  bool is_client_gone = error_.origin() == Origin::downstream;
  std::exchange(client_, nullptr)
      ->abort(is_client_gone ? CloseReason::kPeerClosed : CloseReason::kAborted);
  go(Step::kFinish);
  return Turn::go_on;
}

Exchange::Turn Exchange::step_finish() noexcept {
  SL_CHECK(upstream_ == nullptr && endpoint_ == nullptr);
  if (call_ != nullptr) call_->detach(client_ != nullptr);
  end_cache_use();
  ClientStream* client = std::exchange(client_, nullptr);
  account(client_info_);
  go(Step::kDone);
  site_.kit().loop.bury(this);
  if (client != nullptr) client->end();  // may begin the next exchange
  // Not with the rest at the turn's end: so the next request finds this memory in the core's cache.
  if (!is_fetch_) arena_.reset();
  return Turn::wait;
}

// Helpers -----------------------------------------------------------------------------------------

void Exchange::end_wait() noexcept {
  if (!timer_.is_set()) return;
  timer_.cancel();
  queue_time_ += monotonic_now() - wait_begin_;
}

// Ends the claim on the endpoint, with what the try came to.
void Exchange::settle_try(bool failed) noexcept {
  if (endpoint_ == nullptr) return;
  upstream::TryOutcome outcome;
  outcome.failed = failed;
  outcome.first_byte = first_byte_time_;
  route_->pool->settle(*std::exchange(endpoint_, nullptr), outcome);
}

void Exchange::drop_connection(CloseReason reason) noexcept {
  acquire_.reset();
  if (upstream_ != nullptr) std::exchange(upstream_, nullptr)->abandon(reason);
}

// Connection and claim; a fault of the endpoint's is held against it.
void Exchange::drop_upstream(CloseReason reason) noexcept {
  drop_connection(reason);
  settle_try(error_.origin() == Origin::upstream);
}

void Exchange::on_deadline() noexcept {
  if (step_ != Step::kQueue) return;
  upstream::Waiter::unlink();
  queue_time_ += monotonic_now() - wait_begin_;
  fail(Error(Errc::kQueueTimeout));
  run();
}

}  // namespace sluice::proxy
