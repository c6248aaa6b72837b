#include "sluice/upstream/response_reader.h"

#include <algorithm>
#include <utility>

#include "sluice/http/h1_parser.h"

namespace sluice::upstream {

namespace {

// The parsers speak of requests where they serve both; here it is the endpoint's fault.
Error of_response(Error error) noexcept {
  switch (error.code()) {
    case Errc::kHeadTooLarge:
    case Errc::kTooManyFields:
    case Errc::kTargetTooLong:
    case Errc::kResponseHeadTooLarge:
      return Error(Errc::kResponseHeadTooLarge, error.text(), error.sys());
    default:
      return Error(Errc::kBadResponse, error.text(), error.sys());
  }
}

}  // namespace

void ResponseReader::begin(Arena& arena) noexcept {
  SL_CHECK(arena_ == nullptr);
  arena_ = &arena;
}

void ResponseReader::reset() noexcept {
  if (head_ != nullptr && head_->framing.kind == http::BodyKind::chunked) chunks_.reset();
  arena_ = nullptr;
  step_ = Step::kHead;
  method_ = http::Method::get;
  has_bytes_ = has_excess_ = false;
  interim_count_ = 0;
  left_ = 0;
  scanner_.reset();
  if (!partial_.empty()) partial_ = {};
  head_ = nullptr;
  interims_ = last_interim_ = nullptr;
  body_.clear();
  trailers_ = {};
}

Error ResponseReader::feed(Slice bytes) {
  SL_CHECK(arena_ != nullptr);
  if (!bytes.is_empty()) has_bytes_ = true;
  while (!bytes.is_empty()) {
    Error error;
    switch (step_) {
      case Step::kHead:
        error = take_head(bytes);
        break;
      case Step::kLength:
        take_length(bytes);
        break;
      case Step::kChunked:
        error = take_chunked(bytes);
        break;
      case Step::kUntilClose:
        body_.push_back(std::exchange(bytes, Slice()));
        break;
      case Step::kComplete:
        has_excess_ = true;
        return {};
    }
    if (error) return error;
  }
  return {};
}

// Mostly the whole head is in one piece and is copied once, into the arena.
Error ResponseReader::take_head(Slice& bytes) {
  const size_t before = partial_.size();
  if (before > 0) partial_.append(bytes.view());
  const std::string_view seen = before > 0 ? std::string_view(partial_) : bytes.view();
  const auto found = scanner_.scan(seen, kResponseLimits);
  if (!found) return of_response(found.error());
  const size_t size = *found;
  if (size == 0) {
    if (before == 0) partial_.assign(bytes.view());
    bytes = Slice();
    return {};
  }
  const std::string_view head = arena_->copy(seen.substr(0, size));
  bytes.remove_prefix(size - before);
  scanner_.reset();
  if (before > 0) partial_ = {};
  return parse_head(head);
}

Error ResponseReader::parse_head(std::string_view bytes) {
  const auto parsed = http::parse_response_head(bytes, kResponseLimits, method_, *arena_);
  if (!parsed) return of_response(parsed.error());
  if (parsed->is_interim()) return add_interim(*parsed);
  head_ = arena_->make<http::ResponseHead>(*parsed);
  switch (head_->framing.kind) {
    case http::BodyKind::none:
      step_ = Step::kComplete;
      break;
    case http::BodyKind::length:
      left_ = head_->framing.length;
      step_ = left_ > 0 ? Step::kLength : Step::kComplete;
      break;
    case http::BodyKind::chunked:
      step_ = Step::kChunked;
      break;
    case http::BodyKind::until_close:
      step_ = Step::kUntilClose;
      break;
  }
  return {};
}

Error ResponseReader::add_interim(const http::ResponseHead& head) noexcept {
  // RFC 9110 section 15.2.2: only after an Upgrade, and Upgrade is never passed on.
  if (head.status == 101) return Error(Errc::kUpgradeRefused, "101 without Upgrade asked for");
  if (++interim_count_ > kMostInterims) return Error(Errc::kBadResponse, "too many 1xx responses");
  auto* interim = arena_->make<Interim>(Interim{head, nullptr});
  if (interims_ == nullptr) {
    interims_ = interim;
  } else {
    last_interim_->next = interim;
  }
  last_interim_ = interim;
  return {};
}

void ResponseReader::pop_interim() noexcept {
  SL_CHECK(interims_ != nullptr);
  interims_ = interims_->next;
}

void ResponseReader::take_length(Slice& bytes) {
  if (bytes.size() < left_) {
    left_ -= bytes.size();
    body_.push_back(std::exchange(bytes, Slice()));
    return;
  }
  const size_t rest = static_cast<size_t>(left_);
  left_ = 0;
  step_ = Step::kComplete;
  if (bytes.size() == rest) {
    body_.push_back(std::exchange(bytes, Slice()));
  } else {
    body_.push_back(bytes.sub(0, rest));
    bytes.remove_prefix(rest);
  }
}

Error ResponseReader::take_chunked(Slice& bytes) {
  const Status decoded = chunks_.decode(bytes, body_, kResponseLimits);
  if (!decoded) return of_response(decoded.error());
  if (!chunks_.is_done()) return {};
  step_ = Step::kComplete;
  const std::string_view lines = chunks_.trailer_lines();
  if (lines == "\r\n" || lines.empty()) return {};
  const auto trailers = http::parse_trailers(arena_->copy(lines), kResponseLimits, *arena_);
  if (!trailers) {
    step_ = Step::kChunked;
    return of_response(trailers.error());
  }
  trailers_ = *trailers;
  return {};
}

Error ResponseReader::end(int sys) noexcept {
  switch (step_) {
    case Step::kComplete:
      return {};
    case Step::kUntilClose:
      if (sys == 0) {
        step_ = Step::kComplete;
        return {};
      }
      break;
    case Step::kHead:
      if (has_bytes_) {
        return Error(Errc::kResponseIncomplete, "closed before the head was complete", sys);
      }
      return Error(Errc::kResetBeforeHead, sys == 0 ? "closed without an answer" : "reset", sys);
    case Step::kLength:
    case Step::kChunked:
      break;
  }
  return Error(Errc::kResponseIncomplete,
               sys == 0 ? "closed within the body" : "reset within the body", sys);
}

bool ResponseReader::may_reuse() const noexcept {
  return is_complete() && !has_excess_ && head_->keep_alive &&
         head_->framing.kind != http::BodyKind::until_close;
}

}  // namespace sluice::upstream
