#include "sluice/downstream/h1_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "sluice/downstream/h1_active.h"
#include "sluice/http/h1_framing.h"

namespace sluice::downstream {
namespace {

using namespace std::chrono_literals;

// RFC 9112 section 9.6: after our last answer we read on for a while, so that what the client still
// sends does not make the kernel reset the connection before it has read that answer.
constexpr Duration kLinger = 2s;
// How long a connection between requests waits at a drain for one that was on its way already.
constexpr Duration kDrainGrace = 300ms;
constexpr size_t kMostGlimpse = 4096;  // of a refused head, for the log

}  // namespace

H1Connection::H1Connection(Listener& listener, std::unique_ptr<loop::Stream> stream,
                           const SocketAddress& peer, bool counted_by_address)
    : listener_(listener),
      stream_(std::move(stream)),
      timer_(loop::Timer::make<&H1Connection::on_deadline>(listener.kit().loop, this)),
      ip_(peer.ip()),
      counted_by_address_(counted_by_address) {
  info_.address = peer;
  info_.ip = ip_;
  info_.listener = listener.shared().name();
  info_.listener_id = listener.shared().id();
  info_.is_trusted = listener.is_trusted(peer);
}

H1Connection::~H1Connection() { deactivate(); }

void H1Connection::start() noexcept {
  set_deadline(config().timeouts.head);
  stream_->start(this);
}

// Bytes in ----------------------------------------------------------------------------------------

void H1Connection::on_read(Slice bytes) noexcept {
  if (state_ == State::closed || state_ == State::linger) return;
  listener_.kit().counters.add(stats::Counter::bytes_in, bytes.size());
  activate();
  active_->input.push_back(std::move(bytes));
  if (state_ != State::busy) return process();
  bool was_complete = active_->body_complete;
  take_body();
  if (!was_complete) exchange_->on_client_progress();
  if (active_ == nullptr) return;
  if (active_->input.size() > loop::kHighWatermark) stream_->pause(loop::PauseReason::pipelining);
  if (active_->body.size() > loop::kHighWatermark) pause_body();  // nobody takes it at present
}

// Takes requests from the input as long as none is under way. Not entered twice: an exchange that
// ends inside begin_exchange() lets the loop go on.
void H1Connection::process() noexcept {
  if (is_processing_) return;
  is_processing_ = true;
  while (is_between_requests() && active_ != nullptr && take_head()) {
  }
  is_processing_ = false;
  if (!is_between_requests()) return;
  stream_->resume(loop::PauseReason::pipelining);
  if (has_eof_) close(CloseReason::kPeerClosed);
}

// One head out of the input, and its exchange begun; false when more bytes are needed.
bool H1Connection::take_head() noexcept {
  if (state_ != State::head) {
    if (!skip_empty_lines()) return false;
    active_->scanner.reset();
    // The deadline of a head begins with its first byte, or with the connection.
    if (state_ == State::idle) timer_.cancel();
    go(State::head);
  }
  std::string_view head;
  if (!find_head(head)) return false;
  begin_exchange(head);
  return true;
}

// RFC 9112 section 2.2: a server should ignore empty lines before a request line. False when
// nothing else has come yet.
bool H1Connection::skip_empty_lines() noexcept {
  Chain& input = active_->input;
  while (!input.is_empty()) {
    std::string_view bytes = input.slice(0).view();
    size_t skip = http::leading_empty_lines(bytes);
    if (skip == 0 && bytes == "\r") {  // the two bytes of a line end came apart
      if (input.slice_count() == 1) return false;
      if (input.slice(1).view().front() == '\n') skip = 2;
    }
    if (skip == 0) return true;
    input.consume(skip);
  }
  deactivate();
  return false;
}

// The next complete head: in the first slice where it came whole, else gathered in H1Active::head,
// slice by slice so that pipelined requests behind it are not copied along.
bool H1Connection::find_head(std::string_view& head) noexcept {
  H1Active& active = *active_;
  bool is_whole = active.head.empty();
  while (!active.input.is_empty()) {
    std::string_view bytes = active.input.slice(0).view();
    if (!is_whole) {
      active.head += bytes;
      active.input.pop_front();
      bytes = active.head;
    }
    auto found = active.scanner.scan(bytes, head_limits());
    if (!found) {
      refuse(found.error());
      return false;
    }
    if (*found > 0) {
      head = bytes.substr(0, *found);
      return true;
    }
    if (is_whole) active.head.assign(active.input.pop_front().view());
    is_whole = false;
  }
  if (!timer_.is_set()) set_deadline(config().timeouts.head);  // later pieces do not move it
  return false;
}

void H1Connection::begin_exchange(std::string_view head) noexcept {
  H1Active& active = *active_;
  timer_.cancel();
  go(State::busy);
  error_ = Error();
  exchange_ = proxy::Exchange::create(listener_.site(), *this);
  Arena& arena = exchange_->arena();
  std::string_view kept = arena.copy(head);
  if (active.head.empty()) {
    active.input.consume(kept.size());
  } else {
    std::string rest = active.head.substr(kept.size());
    active.head = std::string();
    if (!rest.empty()) put_back(Slice::copy_of(rest));
  }
  auto parsed = http::parse_request_head(kept, head_limits(), arena);
  if (!parsed) return fail_request(parsed.error(), kept);
  active.minor_version = parsed->minor_version;
  active.framing = parsed->framing;
  active.body_left = parsed->framing.length;
  active.body_bytes = 0;
  active.body_complete = !parsed->framing.has_body();
  active.trailers = http::FieldList();
  using BodyWait = H1Active::BodyWait;
  active.body_wait = parsed->expect_continue ? BodyWait::go_ahead : BodyWait::client;
  after_ = parsed->keep_alive ? After::keep : After::close;
  if (parsed->framing.kind == http::BodyKind::chunked) active.decoder.reset();
  uint64_t limit = config().limits.body;
  if (limit != 0 && parsed->framing.length > limit) {
    error_ = Error(Errc::kBodyTooLarge);
    exchange_->refuse(error_, &*parsed);
    return;
  }
  take_body();
  if (!active.body_complete) stream_->resume(loop::PauseReason::pipelining);
  exchange_->begin(*parsed);
}

// What came (in the exchange's arena) cannot be used as a head; the answer ends the connection.
void H1Connection::fail_request(Error error, std::string_view came) noexcept {
  active_->body_complete = false;
  active_->framing = http::Framing();
  after_ = After::close;
  http::RequestHead glimpse = http::glimpse_request(came);
  exchange_->refuse(error, glimpse.method_text.empty() ? nullptr : &glimpse);
}

// No head could be found at all.
void H1Connection::refuse(Error error) noexcept {
  timer_.cancel();
  go(State::busy);
  error_ = Error();
  H1Active& active = *active_;
  exchange_ = proxy::Exchange::create(listener_.site(), *this);
  std::string_view came = active.head;
  if (came.empty() && !active.input.is_empty()) came = active.input.slice(0).view();
  came = exchange_->arena().copy(came.substr(0, kMostGlimpse));
  active.input.clear();
  fail_request(error, came);
}

// The body ----------------------------------------------------------------------------------------

// Moves what belongs to the body under way from the input to the exchange.
void H1Connection::take_body() noexcept {
  H1Active& active = *active_;
  if (active.body_complete) return;
  if (error_ || active.framing.kind == http::BodyKind::none) {  // refused: the rest is discarded
    active.input.clear();
    return;
  }
  size_t before = active.body.size();
  if (active.framing.kind == http::BodyKind::length) {
    auto take = static_cast<size_t>(std::min<uint64_t>(active.input.size(), active.body_left));
    if (take == active.input.size()) {
      active.body.append(std::move(active.input));
    } else {
      active.body.append(active.input.split_front(take));
    }
    active.body_left -= take;
    active.body_complete = active.body_left == 0;
  } else {
    take_chunked_body();
  }
  active.body_bytes += active.body.size() - before;
  if (active.body_wait == H1Active::BodyWait::go_ahead && active.body_bytes > 0) {
    active.body_wait = H1Active::BodyWait::client;
  }
  uint64_t limit = config().limits.body;
  if (limit != 0 && active.body_bytes > limit) error_ = Error(Errc::kBodyTooLarge);
  active.body_deadline = listener_.kit().loop.now() + config().timeouts.body;
  if (stream_->pending() > 0) return;  // the deadline of the client's reading goes on
  if (active.body_complete || error_) {
    timer_.cancel();
  } else {
    timer_.set(active.body_deadline);
  }
}

void H1Connection::take_chunked_body() noexcept {
  H1Active& active = *active_;
  while (!active.input.is_empty() && !active.body_complete) {
    Slice bytes = active.input.pop_front();
    auto status = active.decoder.decode(bytes, active.body, head_limits());
    if (!status) {
      error_ = status.error();
      return;
    }
    active.body_complete = active.decoder.is_done();
    if (!bytes.is_empty()) put_back(std::move(bytes));
  }
  if (active.body_complete) take_trailers();
}

// Before what else is in the input.
void H1Connection::put_back(Slice bytes) noexcept {
  Chain input;
  input.push_back(std::move(bytes));
  input.append(std::move(active_->input));
  active_->input = std::move(input);
}

void H1Connection::take_trailers() noexcept {
  if (active_->decoder.trailer_lines().size() <= 2) return;
  Arena& arena = exchange_->arena();
  std::string_view lines = arena.copy(active_->decoder.trailer_lines());
  auto trailers = http::parse_trailers(lines, head_limits(), arena);
  if (trailers) {
    active_->trailers = *trailers;
  } else {
    error_ = trailers.error();
    active_->body_complete = false;
  }
}

void H1Connection::pause_body() noexcept {
  active_->body_wait = H1Active::BodyWait::endpoint;
  stream_->pause(loop::PauseReason::backpressure);
}

void H1Connection::resume_body() noexcept {
  if (active_->body_wait == H1Active::BodyWait::endpoint) {
    active_->body_wait = H1Active::BodyWait::client;
  }
  stream_->resume(loop::PauseReason::backpressure);
}

Chain& H1Connection::body() noexcept { return active_->body; }
bool H1Connection::is_body_complete() const noexcept { return active_->body_complete; }
bool H1Connection::is_body_held() const noexcept {
  return !active_->body_complete && active_->body_wait == H1Active::BodyWait::go_ahead;
}
const http::FieldList& H1Connection::trailers() const noexcept { return active_->trailers; }

// Answers -----------------------------------------------------------------------------------------

void H1Connection::send_interim(const http::ResponseHead& head) {
  ChainWriter out(listener_.kit().loop.chunks(), active_->out);
  http::write_interim_head(head, out);
  if (head.status != 100) return;
  active_->body_wait = H1Active::BodyWait::client;
  active_->body_deadline = listener_.kit().loop.now() + config().timeouts.body;
}

void H1Connection::send_head(const http::ResponseHead& head, const http::ResponseForwarding& how) {
  H1Active& active = *active_;
  http::ResponseForwarding mine = how;
  bool has_unknown_length = how.framing.kind == http::BodyKind::chunked ||
                            how.framing.kind == http::BodyKind::until_close;
  if (has_unknown_length) {
    // RFC 9112 section 6.1: no transfer coding towards HTTP/1.0.
    mine.framing.kind =
        active.minor_version >= 1 ? http::BodyKind::chunked : http::BodyKind::until_close;
  }
  active.chunked_out = mine.framing.kind == http::BodyKind::chunked;
  bool is_last = !how.keep_alive || is_draining_ || (has_eof_ && active.input.is_empty());
  if (is_last) after_ = After::close;
  if (mine.framing.kind == http::BodyKind::until_close) after_ = After::close_is_end;
  mine.keep_alive = after_ == After::keep;
  ChainWriter out(listener_.kit().loop.chunks(), active.out);
  http::write_response_head(head, mine, listener_.kit().http_date(), out);
}

void H1Connection::send_body(Chain&& bytes) {
  H1Active& active = *active_;
  if (bytes.is_empty()) return;
  if (!active.chunked_out) return active.out.append(std::move(bytes));
  active.chunks.write(std::move(bytes), listener_.kit().loop.chunks(), active.out);
}

void H1Connection::send_copy(std::string_view bytes) {
  if (!active_->chunked_out && active_->out.try_append_copy(bytes)) return;
  Chain piece;
  ChainWriter(listener_.kit().loop.chunks(), piece).write(bytes);
  send_body(std::move(piece));
}

void H1Connection::send_end(const http::FieldList* trailers) {
  if (!active_->chunked_out) return;
  active_->chunks.end();
  if (trailers == nullptr) {
    active_->out.push_back(Slice::from_static("0\r\n\r\n"));
    return;
  }
  ChainWriter out(listener_.kit().loop.chunks(), active_->out);
  http::write_trailers(*trailers, out);
}

void H1Connection::flush() noexcept {
  H1Active& active = *active_;
  if (active.out.is_empty()) return;
  listener_.kit().counters.add(stats::Counter::bytes_out, active.out.size());
  stream_->write(std::move(active.out));
  if (!active.out.is_empty()) active.out.clear();  // a stream that failed takes nothing
  if (stream_->pending() == 0) return;
  stream_->notify_flushed();
  if (!timer_.is_set()) {
    active.written_mark = stream_->bytes_written();
    set_deadline(config().timeouts.body);
  }
}

void H1Connection::on_drained() noexcept {
  if (state_ == State::busy && exchange_ != nullptr) exchange_->on_client_progress();
}

// After an exchange -------------------------------------------------------------------------------

void H1Connection::end() noexcept {
  SL_CHECK(state_ == State::busy);
  exchange_ = nullptr;
  after_exchange();
  process();
}

void H1Connection::after_exchange() noexcept {
  if (!active_->body_complete || after_ != After::keep) return end_connection();
  go(State::idle);
  active_->body.clear();
  resume_body();
  if (active_->input.is_empty()) deactivate();
  set_deadline(is_draining_ ? kDrainGrace : config().timeouts.idle);
}

// Closes at once when the client can have nothing more to say; else says goodbye and reads on.
void H1Connection::end_connection() noexcept {
  bool is_agreed = active_->body_complete && active_->input.is_empty() && !is_draining_;
  if (has_eof_ || is_agreed) return close(CloseReason::kDone);
  deactivate();
  go(State::linger);
  stream_->resume(loop::PauseReason::backpressure);
  stream_->resume(loop::PauseReason::pipelining);
  stream_->finish();
  set_deadline(kLinger);
}

void H1Connection::abort(CloseReason reason) noexcept {
  exchange_ = nullptr;
  // An answer whose end is the close itself must not look whole (RFC 9112 section 8).
  if (after_ == After::close_is_end) stream_->reset_on_close();
  close(reason);
}

// Ends --------------------------------------------------------------------------------------------

void H1Connection::on_eof() noexcept {
  has_eof_ = true;
  switch (state_) {
    case State::fresh:
    case State::idle:
    case State::head:
      return close(CloseReason::kPeerClosed);
    case State::linger:
      return close(CloseReason::kDone);
    case State::busy:
      // A half-closed client still gets its answer, if its request was whole.
      if (exchange_ == nullptr || active_->body_complete || error_) return;
      error_ = Error(Errc::kClientGone, "closed in the middle of its request body");
      return exchange_->on_client_progress();
    case State::closed:
      return;
  }
}

void H1Connection::on_broken(Error error) noexcept {
  if (state_ == State::closed) return;
  if (exchange_ == nullptr) return close(CloseReason::kPeerReset);
  error_ = Error(Errc::kClientGone, error.text(), error.sys());
  exchange_->on_client_progress();
}

void H1Connection::on_deadline() noexcept {
  switch (state_) {
    case State::fresh:
    case State::idle:
      return close(is_draining_ ? CloseReason::kDrain : CloseReason::kIdle);  // without 408
    case State::head:
      return refuse(Error(Errc::kHeadTimeout));
    case State::linger:
      return close(CloseReason::kDone);
    case State::busy:
      return check_progress();
    case State::closed:
      return;
  }
}

// A deadline passed while an exchange is under way: whose turn was it?
void H1Connection::check_progress() noexcept {
  H1Active& active = *active_;
  Duration patience = config().timeouts.body;
  if (stream_->pending() > 0) {
    uint64_t written = stream_->bytes_written();
    if (std::exchange(active.written_mark, written) != written) return set_deadline(patience);
    error_ = Error(Errc::kClientStalled);
  } else if (active.body_complete || error_) {
    return;
  } else if (active.body_wait != H1Active::BodyWait::client) {
    return set_deadline(patience);
  } else if (listener_.kit().loop.now() < active.body_deadline) {
    return timer_.set(active.body_deadline);
  } else {
    error_ = Error(Errc::kBodyTimeout);
  }
  exchange_->on_client_progress();
}

void H1Connection::drain() noexcept {
  is_draining_ = true;
  if (state_ != State::fresh && state_ != State::idle) return;
  timer_.set(std::min(timer_.deadline(), listener_.kit().loop.now() + kDrainGrace));
}

void H1Connection::close_now(CloseReason reason) noexcept {
  if (exchange_ != nullptr) {
    exchange_->cancel(Errc::kDraining);  // calls abort()
  } else {
    close(reason);
  }
}

void H1Connection::close(CloseReason reason) noexcept {
  if (state_ == State::closed) return;
  go(State::closed);
  timer_.cancel();
  deactivate();
  stream_->close(reason);
  listener_.forget(*this, info_.address, counted_by_address_, reason);
  listener_.kit().loop.bury(this);
}

// Helpers -----------------------------------------------------------------------------------------

bool H1Connection::is_between_requests() const noexcept {
  return state_ == State::fresh || state_ == State::idle || state_ == State::head;
}

void H1Connection::activate() {
  if (active_ == nullptr) active_ = listener_.actives().make();
}

void H1Connection::deactivate() noexcept {
  if (active_ != nullptr) listener_.actives().destroy(std::exchange(active_, nullptr));
}

http::HeadLimits H1Connection::head_limits() const noexcept {
  const config::Limits& limits = config().limits;
  return {limits.head, limits.fields, limits.target};
}

}  // namespace sluice::downstream
