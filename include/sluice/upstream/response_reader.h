// One response's bytes to facts: interim heads, the head, the body, where it ends. No I/O.
//
// Owner: an H1Client or a probe. Thread: its own. Heads are copied into the arena that begin() gets
// and parsed there; Content-Length bodies are counted and passed on as the slices that came,
// chunked ones go through http::ChunkedDecoder. After an Error nothing may be fed any more.
#pragma once

#include <cstdint>
#include <string>

#include "sluice/base/arena.h"
#include "sluice/base/chain.h"
#include "sluice/base/error.h"
#include "sluice/http/chunked.h"
#include "sluice/http/h1_framing.h"
#include "sluice/http/message.h"

namespace sluice::upstream {

// What an endpoint may send: larger than what clients may, since heads of applications grow.
inline constexpr http::HeadLimits kResponseLimits{
    .head = 64 * 1024, .fields = 256, .target = 8 * 1024};
inline constexpr uint32_t kMostInterims = 32;

class ResponseReader {
 public:
  // A new response; reset() ended the last one.
  void begin(Arena& arena) noexcept;
  // Known when the request's head is sent, before the response can come: HEAD has no body.
  void set_method(http::Method method) noexcept { method_ = method; }
  // Ends the use of the arena; buffers are given back.
  void reset() noexcept;

  // kNone, kBadResponse, kResponseHeadTooLarge or kUpgradeRefused.
  Error feed(Slice bytes);
  // The connection ended, by FIN or by reset (`sys`, else 0): completes a body that ends with the
  // connection, else kResetBeforeHead or kResponseIncomplete.
  Error end(int sys) noexcept;

  bool is_complete() const noexcept { return step_ == Step::kComplete; }
  bool has_bytes() const noexcept { return has_bytes_; }
  // Bytes came behind the end: the connection is in an unknown state.
  bool has_excess() const noexcept { return has_excess_; }
  // Complete, and nothing of it stands against another exchange on the connection.
  bool may_reuse() const noexcept;

  const http::ResponseHead* head() const noexcept { return head_; }
  const http::ResponseHead* interim() const noexcept {
    return interims_ == nullptr ? nullptr : &interims_->head;
  }
  void pop_interim() noexcept;
  Chain& body() noexcept { return body_; }
  const http::FieldList& trailers() const noexcept { return trailers_; }

 private:
  enum class Step : uint8_t { kHead, kLength, kChunked, kUntilClose, kComplete };
  struct Interim {
    http::ResponseHead head;
    Interim* next = nullptr;
  };

  Error take_head(Slice& bytes);
  Error parse_head(std::string_view head);
  Error add_interim(const http::ResponseHead& head) noexcept;
  void take_length(Slice& bytes);
  Error take_chunked(Slice& bytes);

  Arena* arena_ = nullptr;
  Step step_ = Step::kHead;
  http::Method method_ = http::Method::get;
  bool has_bytes_ = false;
  bool has_excess_ = false;
  uint32_t interim_count_ = 0;
  uint64_t left_ = 0;
  http::HeadScanner scanner_;
  std::string partial_;  // of a head that came in pieces
  const http::ResponseHead* head_ = nullptr;
  Interim* interims_ = nullptr;  // not yet taken, oldest first
  Interim* last_interim_ = nullptr;
  Chain body_;
  http::ChunkedDecoder chunks_;
  http::FieldList trailers_;
};

}  // namespace sluice::upstream
