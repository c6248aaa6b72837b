#include "sluice/proxy/fetch_answer.h"

#include <algorithm>
#include <new>
#include <utility>

#include "copy_head.h"
#include "sluice/base/check.h"
#include "sluice/loop/stream.h"

namespace sluice::proxy {
namespace {

constexpr size_t kPaused = loop::kHighWatermark + 1;

}  // namespace

// RFC 9110 section 15.2: interim responses are the client's, who may have left.
bool FetchAnswer::add_interim(const http::ResponseHead& head) {
  if (asker_ == nullptr) return false;
  Interim** last = &interim_;
  while (*last != nullptr) last = &(*last)->next;
  *last = arena_->make<Interim>(copy_head(head, *arena_), nullptr);
  return true;
}

void FetchAnswer::set_head(const http::ResponseHead& head, std::string_view extra_lines) {
  if (asker_ == nullptr) return;
  head_ = arena_->make<http::ResponseHead>(copy_head(head, *arena_));
  extra_lines_ = arena_->copy(extra_lines);
}

void FetchAnswer::add_body(Chain&& bytes) {
  Chain given = std::move(bytes);  // the giver's is empty from now on, whatever becomes of them
  if (is_wanted_) body_.append(std::move(given));
}

void FetchAnswer::add_body(const Chain& bytes, uint64_t from) {
  if (!is_wanted_) return;
  for (size_t i = 0, at = 0; i < bytes.slice_count(); ++i) {
    const Slice& slice = bytes.slice(i);
    const size_t skip =
        static_cast<size_t>(std::min<uint64_t>(slice.size(), from - std::min<uint64_t>(from, at)));
    at += slice.size();
    if (skip < slice.size()) body_.push_back(slice.sub(skip, slice.size() - skip));
  }
}

void FetchAnswer::finish(const http::FieldList* trailers) {
  is_complete_ = true;
  if (trailers == nullptr || arena_ == nullptr) return;
  auto* fields = arena_->allocate_array<http::Field>(trailers->size());
  size_t count = 0;
  for (const http::Field& field : *trailers) {
    new (&fields[count++])
        http::Field{arena_->copy(field.name), arena_->copy(field.value), field.id};
  }
  trailers_ = http::FieldList({fields, count});
}

size_t FetchAnswer::waiting() const noexcept {
  if (!is_wanted_ || is_complete_) return 0;
  return is_paused_ ? std::max(kPaused, body_.size()) : body_.size();
}

void FetchAnswer::begin(upstream::UpstreamListener* listener, Arena* arena) noexcept {
  asker_ = listener;
  arena_ = arena;
}

void FetchAnswer::resume_body() noexcept {
  is_paused_ = false;
  owner_.on_asker_progress();
}

upstream::Endpoint& FetchAnswer::endpoint() noexcept {
  SL_CHECK(!"a fetch has no endpoint of its own");
  __builtin_unreachable();
}

void FetchAnswer::let_go() noexcept {
  is_wanted_ = false;
  asker_ = nullptr;
  arena_ = nullptr;
  interim_ = nullptr;
  head_ = nullptr;
  body_.clear();
  trailers_ = {};
  owner_.on_asker_progress();
}

}  // namespace sluice::proxy
