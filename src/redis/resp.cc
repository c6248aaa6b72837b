#include "sluice/redis/resp.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "sluice/base/check.h"
#include "sluice/base/strings.h"

namespace sluice::redis {
namespace {

constexpr size_t kMostKeptValues = 1024;

// As Redis writes them: a minus or none, no leading zero, no plus.
std::optional<int64_t> parse_number(std::string_view text) noexcept {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  const std::optional<uint64_t> size = parse_decimal(text);
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (!size || *size > kMost + (is_negative ? 1 : 0)) return std::nullopt;
  return static_cast<int64_t>(is_negative ? 0 - *size : *size);
}

}  // namespace

class RespReader::Block final : public SharedBytes {
 public:
  explicit Block(size_t size) : bytes_(std::make_unique_for_overwrite<char[]>(size)), size_(size) {}
  char* data() noexcept { return bytes_.get(); }
  size_t size() const noexcept { return size_; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_;
};

Reply Reply::at(size_t index) const noexcept {
  static const Value nil;
  if (index >= size()) return Reply(&nil);
  const Value* value = value_ + 1;
  for (size_t i = 0; i < index; ++i) value += value->span;
  return Reply(value);
}

void RespReader::feed(Slice bytes) noexcept {
  SL_CHECK(input_.is_empty());
  if (step_ != Step::kBroken) input_ = std::move(bytes);
}

RespReader::Step RespReader::next() {
  if (step_ == Step::kBroken) return step_;
  if (step_ == Step::kReply) begin();
  while (step_ == Step::kMore && !input_.is_empty()) {
    switch (state_) {
      case State::kLine:
        take_line();
        break;
      case State::kBulk:
        take_bulk();
        break;
      case State::kBulkEnd:
        take_bulk_end();
        break;
    }
  }
  if (input_.is_empty()) input_ = Slice();  // lets go of the chunk
  return step_;
}

void RespReader::begin() noexcept {
  step_ = Step::kMore;
  values_.clear();
  if (values_.capacity() > kMostKeptValues) values_.shrink_to_fit();
  elements_ = 0;
  bulk_bytes_ = 0;
  skipped_ = nullptr;
}

void RespReader::take_line() {
  const std::string_view bytes = input_.view();
  const size_t lf = bytes.find('\n');
  const size_t size = lf == std::string_view::npos ? bytes.size() : lf + 1;
  if (size > limits_.line - line_.size()) return fail("a line is too long");
  if (lf == std::string_view::npos || !line_.empty()) line_.append(bytes.substr(0, size));
  if (lf == std::string_view::npos) {
    input_ = Slice();
    return;
  }
  Slice line = line_.empty() ? input_.sub(0, size) : Slice::copy_of(line_);
  line_.clear();
  input_.remove_prefix(size);
  if (line.size() < 3 || line.view().find('\r') != line.size() - 2) {
    return fail("a line is empty or does not end in CR LF");
  }
  on_line(line.sub(0, line.size() - 2));
}

void RespReader::on_line(Slice line) {
  const char kind = line.view().front();
  line.remove_prefix(1);
  if (kind == '+' || kind == '-') {
    return add({.type = kind == '+' ? Type::kStatus : Type::kError, .bytes = std::move(line)});
  }
  if (kind != ':' && kind != '$' && kind != '*') return fail("an unknown type of reply");
  const std::optional<int64_t> number = parse_number(line.view());
  if (!number) return fail("a number is malformed");
  if (kind == ':') return add({.type = Type::kInteger, .number = *number, .bytes = {}});
  if (*number < -1) return fail("a length is negative");
  if (*number == -1) return add({});
  if (kind == '$') return begin_bulk(*number);
  begin_array(*number);
}

void RespReader::begin_bulk(int64_t size) {
  const auto wanted = static_cast<uint64_t>(size);
  if (wanted > kLargestBulk) return fail("a value is larger than any");
  if (wanted > limits_.bulk) skip("TOOLARGE a value is too large");
  if (wanted > limits_.reply - bulk_bytes_) skip("TOOLARGE a reply is too large");
  if (skipped_ == nullptr) bulk_bytes_ += wanted;
  bulk_left_ = wanted;
  bulk_ = Slice();
  state_ = wanted == 0 ? State::kBulkEnd : State::kBulk;
}

void RespReader::take_bulk() {
  if (skipped_ != nullptr) {
    const size_t count = std::min(bulk_left_, input_.size());
    input_.remove_prefix(count);
    bulk_left_ -= count;
    if (bulk_left_ == 0) state_ = State::kBulkEnd;
    return;
  }
  if (block_ == nullptr) {
    if (bulk_left_ < kOwnBlock && bulk_left_ <= input_.size()) {
      bulk_ = input_.sub(0, bulk_left_);
      input_.remove_prefix(bulk_left_);
      state_ = State::kBulkEnd;
      return;
    }
    block_ = new Block(bulk_left_);  // NOLINT: reference-counted
  }
  const size_t count = std::min(bulk_left_, input_.size());
  std::memcpy(block_->data() + (block_->size() - bulk_left_), input_.data(), count);
  input_.remove_prefix(count);
  bulk_left_ -= count;
  if (bulk_left_ > 0) return;
  bulk_ = Slice::of_shared(block_, block_->data(), block_->size());
  drop_block();
  state_ = State::kBulkEnd;
}

void RespReader::take_bulk_end() {
  const char byte = *input_.data();
  input_.remove_prefix(1);
  if (byte != (has_cr_ ? '\n' : '\r')) return fail("a value does not end where it should");
  has_cr_ = !has_cr_;
  if (has_cr_) return;
  state_ = State::kLine;
  add({.type = Type::kBulk, .bytes = std::exchange(bulk_, Slice())});
}

void RespReader::begin_array(int64_t count) {
  const auto wanted = static_cast<uint64_t>(count);
  if (wanted > kMostElements) return fail("a reply has far too many elements");
  if (wanted > limits_.elements - elements_) skip("TOOLARGE a reply has too many elements");
  if (skipped_ == nullptr) elements_ += wanted;
  if (wanted == 0) return add({.type = Type::kArray, .bytes = {}});
  if (depth_ == kMostDepth) return fail("a reply is nested too deep");
  open_[depth_++] = {static_cast<uint32_t>(values_.size()), wanted};
  if (skipped_ == nullptr) values_.push_back({.type = Type::kArray, .number = count, .bytes = {}});
}

// A value that is complete, and so perhaps the arrays around it.
void RespReader::add(Value value) {
  if (skipped_ == nullptr) values_.push_back(std::move(value));
  while (depth_ > 0 && --open_[depth_ - 1].left == 0) {
    const uint32_t at = open_[--depth_].at;
    if (skipped_ == nullptr) values_[at].span = static_cast<uint32_t>(values_.size() - at);
  }
  if (depth_ > 0) return;
  if (skipped_ != nullptr) {
    values_.push_back({.type = Type::kError, .bytes = Slice::from_static(skipped_)});
  }
  step_ = Step::kReply;
}

// From here to its end the reply is only counted.
void RespReader::skip(const char* why) noexcept {
  if (skipped_ == nullptr) skipped_ = why;
  values_.clear();
}

void RespReader::fail(const char* error) noexcept {
  error_ = error;
  step_ = Step::kBroken;
  input_ = Slice();
  drop_block();
}

void RespReader::reset() noexcept {
  begin();
  drop_block();
  input_ = bulk_ = Slice();
  line_.clear();
  depth_ = 0;
  state_ = State::kLine;
  has_cr_ = false;
  error_ = "";
}

void RespReader::drop_block() noexcept {
  if (block_ != nullptr) std::exchange(block_, nullptr)->unref();
}

}  // namespace sluice::redis
