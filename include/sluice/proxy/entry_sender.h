// Sends a stored response, or what the request asks of it: all, ranges, its head, or that it has
// not changed (RFC 9110 sections 13 to 15).
//
// Owner: an exchange, in its arena. Thread: the worker's. The body is sent as it grows; nothing is
// copied. send_head() once, then send_body() until it says that all was sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/ref.h"
#include "sluice/cache/entry.h"
#include "sluice/http/forwarding.h"
#include "sluice/http/message.h"
#include "sluice/http/range.h"
#include "sluice/proxy/client_stream.h"

namespace sluice::proxy {

class EntrySender {
 public:
  EntrySender(Ref<cache::Entry> entry, const http::RequestHead& request, Arena& arena) noexcept
      : entry_(std::move(entry)), request_(request), arena_(arena) {}

  const cache::Entry& entry() const noexcept { return *entry_; }

  // Which bytes that the answer to the request takes the entry has not and will not have.
  enum class Lack : uint8_t { none, ranges, whole };
  static Lack lack_of(const cache::Entry& entry, const http::RequestHead& request, int64_t now,
                      Arena& arena) noexcept;

  // `how` without framing, which is chosen here. Returns the status that was sent.
  int send_head(http::ResponseForwarding how, int64_t now, ClientStream& client);

  enum class Progress : uint8_t {
    all_sent,     // also the end of the message
    client_slow,  // it has enough for now
    body_grows,   // the fill has to bring more first
    body_broken   // and never will
  };
  // Adds what it sends to `bytes`.
  Progress send_body(ClientStream& client, uint64_t& bytes);

 private:
  void choose(int64_t now);
  void choose_ranges();
  http::ResponseHead head_for(int status);
  Lack lack() const noexcept;
  void begin_range();
  void begin_run(uint64_t first, uint64_t size);
  void go_to_next_part();
  bool send_piece(ClientStream& client, uint64_t& bytes);
  void send_text(ClientStream& client, void (EntrySender::*write)(ChainWriter&) const,
                 uint64_t& bytes);
  void write_part_head(ChainWriter& out) const;
  void write_end(ChainWriter& out) const;

  Ref<cache::Entry> entry_;
  const http::RequestHead& request_;
  Arena& arena_;
  int status_ = 0;
  bool has_body_ = false;
  std::optional<cache::BodyReader> reader_;
  size_t part_ = 0;  // of the entry, where the reader is
  static constexpr uint64_t kToTheEnd = UINT64_MAX;
  uint64_t left_ = kToTheEnd;           // of the run under way
  http::ByteRanges* ranges_ = nullptr;  // of a 206; in the arena
  size_t range_ = 0;                    // the one under way
  bool owes_part_head_ = false;
  std::optional<http::MultipartRanges> parts_;  // with more than one
};

}  // namespace sluice::proxy
