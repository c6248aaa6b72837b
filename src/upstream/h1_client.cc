#include "sluice/upstream/h1_client.h"

#include <cerrno>
#include <utility>

#include "sluice/base/check.h"

namespace sluice::upstream {

H1Client::H1Client(Parts parts, std::unique_ptr<loop::Stream> stream)
    : loop_(parts.loop),
      counters_(parts.counters),
      owner_(parts.owner),
      endpoint_(std::move(parts.endpoint)),
      stream_(std::move(stream)),
      idle_timeout_(parts.idle_timeout),
      timer_(loop::Timer::make<&H1Client::on_deadline>(loop_, this)) {
  stream_->start(this);
}

void H1Client::begin(UpstreamListener* listener, Arena* arena) noexcept {
  SL_CHECK(state_ == State::kIdle);
  state_ = State::kBusy;
  listener_ = listener;
  ++exchanges_;
  sending_ = Sending::kHead;
  timer_.cancel();
  reader_.begin(*arena);
}

// Sending
// ------------------------------------------------------------------------------------------

void H1Client::send_head(const http::RequestHead& head, const http::RequestForwarding& how) {
  SL_CHECK(state_ == State::kBusy && sending_ == Sending::kHead);
  SL_CHECK(how.framing.kind != http::BodyKind::until_close);
  sending_ = Sending::kBody;
  framing_ = how.framing;
  left_to_send_ = how.framing.length;
  if (how.close) may_keep_ = false;
  reader_.set_method(head.method);
  ChainWriter writer(loop_.chunks(), out_);
  http::write_request_head(head, how, writer);
}

void H1Client::send_body(Chain&& bytes) {
  SL_CHECK(state_ == State::kBusy && sending_ == Sending::kBody);
  if (bytes.is_empty()) return;
  if (framing_.kind == http::BodyKind::chunked) {
    return chunked_.write(std::move(bytes), loop_.chunks(), out_);
  }
  SL_CHECK(bytes.size() <= left_to_send_);
  left_to_send_ -= bytes.size();
  out_.append(std::move(bytes));
}

void H1Client::send_end(const http::FieldList* trailers) {
  SL_CHECK(state_ == State::kBusy && sending_ == Sending::kBody);
  SL_CHECK(left_to_send_ == 0);
  sending_ = Sending::kDone;
  chunked_.end();
  if (framing_.kind != http::BodyKind::chunked) return;
  if (trailers == nullptr || trailers->size() == 0) {
    out_.push_back(Slice::from_static("0\r\n\r\n"));
    return;
  }
  ChainWriter writer(loop_.chunks(), out_);
  http::write_trailers(*trailers, writer);
}

void H1Client::flush() noexcept {
  if (out_.is_empty()) return;
  counters_.add(stats::Counter::upstream_bytes_out, out_.size());
  stream_->write(std::exchange(out_, Chain()));
  if (stream_->pending() > 0) stream_->notify_flushed();
}

void H1Client::pause_body() noexcept {
  if (reading_ != Reading::kOpen) return;
  reading_ = Reading::kPaused;
  stream_->pause(loop::PauseReason::backpressure);
}

void H1Client::resume_body() noexcept {
  if (reading_ != Reading::kPaused) return;
  reading_ = Reading::kOpen;
  stream_->resume(loop::PauseReason::backpressure);
}

// Receiving
// ----------------------------------------------------------------------------------------

void H1Client::on_read(Slice bytes) noexcept {
  counters_.add(stats::Counter::upstream_bytes_in, bytes.size());
  switch (state_) {
    case State::kIdle:
      return close(CloseReason::kDirty);
    case State::kDead:
      return;
    case State::kBusy:
      break;
  }
  if (error_) return;
  if (sending_ == Sending::kHead) {
    fail(Error(Errc::kResetBeforeHead, "bytes came before the request was sent"));
  } else if (Error error = reader_.feed(std::move(bytes))) {
    fail(error);
  }
  tell();
}

void H1Client::on_eof() noexcept {
  reading_ = Reading::kEnded;
  if (state_ == State::kIdle) return close(CloseReason::kPeerClosed);
  if (state_ == State::kDead || error_ || reader_.is_complete()) return;
  if (Error error = reader_.end(0)) fail(error);
  tell();
}

void H1Client::on_drained() noexcept {
  if (state_ == State::kBusy) tell();
}

void H1Client::on_broken(Error error) noexcept {
  reading_ = Reading::kBroken;
  if (state_ == State::kIdle) return close(CloseReason::kPeerReset);
  if (state_ == State::kDead || error_ || reader_.is_complete()) return;
  fail(reader_.end(error.sys() != 0 ? error.sys() : ECONNRESET));
  tell();
}

void H1Client::expect_by(TimePoint deadline, Errc code) noexcept {
  deadline_code_ = code;
  if (deadline == TimePoint{}) return timer_.cancel();
  timer_.set(deadline);
  if (code != Errc::kSendStalled) return;
  written_mark_ = stream_->bytes_written();
  send_patience_ = deadline - loop_.now();
}

void H1Client::on_deadline() noexcept {
  switch (state_) {
    case State::kIdle:
      return close(CloseReason::kIdle);
    case State::kDead:
      return;
    case State::kBusy:
      break;
  }
  if (error_) return;
  // An endpoint that reads slowly does read.
  if (deadline_code_ == Errc::kSendStalled) {
    const uint64_t written = stream_->bytes_written();
    if (std::exchange(written_mark_, written) != written) return timer_.set_after(send_patience_);
  }
  fail(Error(deadline_code_));
  tell();
}

void H1Client::fail(Error error) noexcept {
  SL_CHECK(!error_ && error);
  error_ = error;
  timer_.cancel();
}

void H1Client::tell() noexcept { listener_->on_upstream_progress(); }

// Ending
// -------------------------------------------------------------------------------------------

void H1Client::release() noexcept {
  SL_CHECK(state_ == State::kBusy);
  if (auto reason = reason_to_close()) return close(*reason);
  state_ = State::kIdle;
  listener_ = nullptr;
  reader_.reset();
  resume_body();
  if (auto reason = owner_.keep(*this)) return close(*reason);
  timer_.set_after(idle_timeout_);
}

std::optional<CloseReason> H1Client::reason_to_close() noexcept {
  if (error_) return CloseReason::kPeerError;
  if (!reader_.is_complete() || sending_ != Sending::kDone || pending() > 0) {
    return CloseReason::kAborted;
  }
  if (reader_.has_excess()) return CloseReason::kDirty;
  if (!may_keep_ || !reader_.may_reuse()) return CloseReason::kDone;
  if (reading_ == Reading::kEnded) return CloseReason::kPeerClosed;
  if (reading_ == Reading::kBroken) return CloseReason::kPeerReset;
  return std::nullopt;
}

void H1Client::close(CloseReason reason) noexcept {
  if (state_ == State::kDead) return;
  state_ = State::kDead;
  listener_ = nullptr;
  timer_.cancel();
  reader_.reset();
  out_.clear();
  chunked_.end();
  stream_->close(reason);
  counters_.add_close(stats::Side::upstream, reason);
  owner_.gone(*this, reason);
  loop_.bury(this);
}

}  // namespace sluice::upstream
