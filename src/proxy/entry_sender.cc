#include "sluice/proxy/entry_sender.h"

#include <algorithm>
#include <new>
#include <utility>

#include "sluice/base/check.h"
#include "sluice/cache/parts.h"
#include "sluice/cache/policy_fields.h"
#include "sluice/http/conditional.h"
#include "sluice/loop/stream.h"

namespace sluice::proxy {
namespace {

constexpr size_t kPiece = 1024 * 1024;  // of one copy for all: what waits costs nothing
constexpr size_t kFewBytes = 1024;      // which are copied behind the head
constexpr std::string_view kBoundary = "sluice-part-7f3a9c51d2e84b06";

int64_t to_seconds_since_1970(WallTime time) noexcept {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

int EntrySender::send_head(http::ResponseForwarding how, int64_t now, ClientStream& client) {
  SL_CHECK(status_ == 0);
  choose(now);
  http::ResponseHead head = status_ == entry_->status() ? entry_->head() : head_for(status_);
  has_body_ = request_.method != http::Method::head && status_ != 304 && status_ != 416;
  how.keep_length = request_.method == http::Method::head;  // RFC 9110 section 9.3.2
  if (has_body_) {
    std::optional<uint64_t> length = entry_->complete_length();
    if (parts_) length = parts_->body_size(*ranges_);
    if (ranges_ != nullptr && !parts_) length = (*ranges_)[0].size();
    if (!length) {
      how.framing.kind = http::BodyKind::chunked;
    } else if (*length > 0) {
      how.framing = {http::BodyKind::length, *length};
    }
    if (ranges_ != nullptr) {
      begin_range();
    } else {
      begin_run(0, kToTheEnd);
    }
  }
  client.send_head(head, how);
  return status_;
}

EntrySender::Lack EntrySender::lack_of(const cache::Entry& entry, const http::RequestHead& request,
                                       int64_t now, Arena& arena) noexcept {
  if (!cache::has_gaps(entry)) return Lack::none;
  EntrySender sender(Ref<cache::Entry>(const_cast<cache::Entry*>(&entry)), request, arena);
  sender.choose(now);
  return sender.lack();
}

EntrySender::Lack EntrySender::lack() const noexcept {
  if (request_.method == http::Method::head || status_ == 304 || status_ == 416) return Lack::none;
  if (ranges_ == nullptr) return Lack::whole;
  const uint64_t length = entry_->complete_length().value_or(0);
  const bool are_there = std::all_of(
      ranges_->begin(), ranges_->end(),
      [&](const http::ByteRange& range) { return cache::covers(entry_->parts(), length, range); });
  return are_there ? Lack::none : Lack::ranges;
}

// RFC 9110 section 13.2.2: conditions first, then ranges.
void EntrySender::choose(int64_t now) {
  status_ = entry_->status();
  if (status_ != 200 || !http::has_condition_or_range(request_.fields)) return;
  http::Validators validators =
      http::validators_of(entry_->fields(), to_seconds_since_1970(entry_->times().response));
  if (http::evaluate_preconditions(request_, validators, now) == http::Precondition::not_modified) {
    status_ = 304;
  } else if (request_.fields.has(http::FieldId::kRange) &&
             http::if_range_holds(request_.fields, validators, now)) {
    choose_ranges();
  }
}

// Ranges of a body whose length only its end will tell are not looked for.
void EntrySender::choose_ranges() {
  std::optional<http::RangeSpecs> specs = http::parse_range(request_);
  std::optional<uint64_t> length = entry_->complete_length();
  if (!specs || !length) return;
  auto* ranges = new (arena_.allocate(sizeof(http::ByteRanges))) http::ByteRanges;
  switch (http::resolve_ranges(*specs, *length, *ranges)) {
    case http::RangeVerdict::whole:
      return;
    case http::RangeVerdict::unsatisfiable:
      status_ = 416;
      return;
    case http::RangeVerdict::partial:
      status_ = 206;
      ranges_ = ranges;
      break;
  }
  if (ranges_->count < 2) return;
  const http::Field* type = entry_->fields().find(http::FieldId::kContentType);
  parts_.emplace(kBoundary, type == nullptr ? std::string_view() : type->value, *length);
}

// The stored head changed for 206, 304 or 416 (RFC 9110 sections 15.3.7, 15.4.5, 15.5.17).
http::ResponseHead EntrySender::head_for(int status) {
  const http::FieldList& stored = entry_->fields();
  auto* fields = arena_.allocate_array<http::Field>(stored.size() + 2);
  size_t count = 0;
  for (const http::Field& field : stored) {
    if (field.id == http::FieldId::kContentLength) continue;
    if (field.id == http::FieldId::kContentType && (parts_ || status == 416)) continue;
    if (status == 304 && !cache::is_sent_with_304(field, stored)) continue;
    new (&fields[count++]) http::Field(field);
  }
  auto add = [&](http::FieldId id, std::string_view name, std::string_view value) {
    new (&fields[count++]) http::Field{name, value, id};
  };
  if (status != 304 && !parts_) {
    http::ContentRange range;
    range.length = entry_->complete_length();
    if (status == 206) range.range = (*ranges_)[0];
    char* text = arena_.allocate_array<char>(http::kMostContentRange);
    add(http::FieldId::kContentRange, "Content-Range",
        {text, http::write_content_range(text, range)});
  }
  if (parts_) {
    constexpr std::string_view kType = http::MultipartRanges::kContentType;
    char* text = arena_.allocate_array<char>(kType.size() + kBoundary.size());
    char* end =
        std::copy(kBoundary.begin(), kBoundary.end(), std::copy(kType.begin(), kType.end(), text));
    add(http::FieldId::kContentType, "Content-Type", {text, static_cast<size_t>(end - text)});
  }
  http::ResponseHead head;
  head.status = status;
  head.reason = http::reason_phrase(status);
  head.fields = http::FieldList({fields, count});
  return head;
}

// The body ----------------------------------------------------------------------------------------

EntrySender::Progress EntrySender::send_body(ClientStream& client, uint64_t& bytes) {
  while (has_body_) {
    if (client.pending() > loop::kHighWatermark) return Progress::client_slow;
    go_to_next_part();
    // Looked at before reading, so that what comes in between is seen the next time round.
    const cache::Body::Progress there = reader_->body().progress();
    const bool has_sent = send_piece(client, bytes);
    const bool is_at_end = part_ + 1 == entry_->parts().size() &&
                           there.state == cache::Body::State::complete &&
                           reader_->offset() == there.size;
    const bool is_run_over = left_ == 0 || is_at_end;
    if (is_run_over) {
      if (ranges_ == nullptr || ++range_ == ranges_->count) break;
      begin_range();
    } else if (!has_sent && there.state == cache::Body::State::failed) {
      return Progress::body_broken;
    } else if (!has_sent && reader_->offset() >= there.size) {  // a range that has not come yet
      return Progress::body_grows;
    }
    if (has_sent) client.flush();
  }
  if (has_body_ && parts_) send_text(client, &EntrySender::write_end, bytes);
  has_body_ = false;
  client.send_end(nullptr);
  return Progress::all_sent;
}

// False when nothing is there at present, or the run is at its end.
bool EntrySender::send_piece(ClientStream& client, uint64_t& bytes) {
  if (left_ == 0) return false;
  if (std::exchange(owes_part_head_, false)) {
    send_text(client, &EntrySender::write_part_head, bytes);
  }
  const auto& parts = entry_->parts();
  uint64_t most = std::min<uint64_t>(left_, kPiece);
  if (part_ + 1 < parts.size()) {
    most = std::min(most, parts[part_ + 1].first - parts[part_].first - reader_->offset());
  }
  size_t read = 0;
  const std::string_view few = reader_->read_small(std::min<uint64_t>(most, kFewBytes));
  if (!few.empty()) {
    read = few.size();
    client.send_copy(few);
  } else {
    Chain piece;
    read = reader_->read(piece, static_cast<size_t>(most));
    if (read == 0) return false;
    client.send_body(std::move(piece));
  }
  if (left_ != kToTheEnd) left_ -= read;
  bytes += read;
  return true;
}

void EntrySender::begin_range() {
  const http::ByteRange& range = (*ranges_)[range_];
  begin_run(range.first, range.size());
  owes_part_head_ = parts_.has_value();
}

void EntrySender::begin_run(uint64_t first, uint64_t size) {
  const auto& parts = entry_->parts();
  part_ = 0;
  while (part_ + 1 < parts.size() && parts[part_ + 1].first <= first) ++part_;
  SL_CHECK(parts[part_].first <= first);
  reader_.emplace(parts[part_].body, first - parts[part_].first);
  left_ = size;
}

// A part counts up to where the next one begins (cache/parts.h).
void EntrySender::go_to_next_part() {
  const auto& parts = entry_->parts();
  if (part_ + 1 == parts.size()) return;
  if (parts[part_].first + reader_->offset() < parts[part_ + 1].first) return;
  reader_.emplace(parts[++part_].body);
}

void EntrySender::send_text(ClientStream& client, void (EntrySender::*write)(ChainWriter&) const,
                            uint64_t& bytes) {
  Chain text;
  {
    ChainWriter out(arena_.pool(), text);
    (this->*write)(out);
  }
  bytes += text.size();
  client.send_body(std::move(text));
}

void EntrySender::write_part_head(ChainWriter& out) const {
  parts_->write_part_head((*ranges_)[range_], out);
}

void EntrySender::write_end(ChainWriter& out) const { parts_->write_end(out); }

}  // namespace sluice::proxy
