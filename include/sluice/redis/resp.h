// Reads what a Redis server sends (RESP2): strict, bounded, without copying small values. Pure.
//
// Every length is checked against the limits before memory is taken for it, and an array grows as
// its elements come, not by what was announced. A bulk of kOwnBlock bytes or more, or one that is
// cut by a chunk's end, is copied once, as it comes, into a block of its own which any thread may
// hold; smaller ones stay in the chunk they were read into.
// A reply over the limits is read to its end without being kept, so that the replies behind it stay
// in step; in its place comes an error reply, "TOOLARGE ...". A violation is only what no Redis
// would send, or what would take too long to skip. After a violation the reader stays broken: there
// is no way back into step with the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/chain.h"

namespace sluice::redis {

inline constexpr size_t kOwnBlock = 4096;
inline constexpr size_t kMostDepth = 8;

enum class Type : uint8_t { kStatus, kError, kInteger, kBulk, kNil, kArray };

// One value of a reply. An array is followed by its elements; `span` counts it with all of them.
struct Value {
  Type type = Type::kNil;
  uint32_t span = 1;
  int64_t number = 0;  // of an integer; of an array, the number of its elements
  Slice bytes;         // of a status, an error, a bulk
};

// A view of a reply, or of an element of one. Valid inside the call that hands it out; the bytes()
// may be kept (those under kOwnBlock keep a whole chunk of the loop with them: better copy them).
class Reply {
 public:
  explicit Reply(const Value* value) noexcept : value_(value) {}

  Type type() const noexcept { return value_->type; }
  bool is_nil() const noexcept { return type() == Type::kNil; }
  // Of a status, an error or a bulk; empty otherwise.
  std::string_view text() const noexcept { return value_->bytes.view(); }
  const Slice& bytes() const noexcept { return value_->bytes; }
  // Of an integer; 0 otherwise.
  int64_t integer() const noexcept { return type() == Type::kInteger ? value_->number : 0; }
  // Elements of an array; 0 otherwise.
  size_t size() const noexcept {
    return type() == Type::kArray ? static_cast<size_t>(value_->number) : 0;
  }
  // The element at `index`, nil behind the last. Walks; for all of them use the iterator.
  Reply at(size_t index) const noexcept;

  class Iterator {
   public:
    explicit Iterator(const Value* value) noexcept : value_(value) {}
    Reply operator*() const noexcept { return Reply(value_); }
    Iterator& operator++() noexcept {
      value_ += value_->span;
      return *this;
    }
    bool operator==(const Iterator&) const noexcept = default;

   private:
    const Value* value_;
  };
  Iterator begin() const noexcept { return Iterator(value_ + 1); }
  Iterator end() const noexcept { return Iterator(value_ + value_->span); }

 private:
  const Value* value_;
};

// What may be skipped: the largest value of a Redis (proto-max-bulk-len), and so many elements.
inline constexpr uint64_t kLargestBulk = 512 * 1024 * 1024;
inline constexpr uint64_t kMostElements = 16 * 1024 * 1024;

struct RespLimits {
  size_t bulk = 2 * 1024 * 1024;    // bytes of one value
  size_t reply = 16 * 1024 * 1024;  // bytes of all values of a reply
  size_t line = 4096;               // bytes of a status, an error, a length
  size_t elements = 16384;          // of all arrays of a reply
};

class RespReader {
 public:
  enum class Step : uint8_t { kMore, kReply, kBroken };

  explicit RespReader(const RespLimits& limits) noexcept : limits_(limits) {}
  ~RespReader() { drop_block(); }
  RespReader(const RespReader&) = delete;
  RespReader& operator=(const RespReader&) = delete;

  // The next bytes. To be called when next() has said kMore, or first.
  void feed(Slice bytes) noexcept;
  // kReply: reply() is there until the next call. kMore: the bytes are used up.
  Step next();
  Reply reply() const noexcept { return Reply(values_.data()); }
  // What was wrong, once next() has said kBroken.
  const char* error() const noexcept { return error_; }

  void reset() noexcept;

 private:
  class Block;
  enum class State : uint8_t { kLine, kBulk, kBulkEnd };
  struct Open {
    uint32_t at;    // index of the array
    uint64_t left;  // elements that are to come
  };

  void begin() noexcept;
  void take_line();
  void on_line(Slice line);
  void begin_bulk(int64_t size);
  void take_bulk();
  void take_bulk_end();
  void begin_array(int64_t count);
  void add(Value value);
  void skip(const char* why) noexcept;
  void fail(const char* error) noexcept;
  void drop_block() noexcept;

  RespLimits limits_;
  Slice input_;
  std::string line_;  // the beginning of a line that a chunk's end has cut
  std::vector<Value> values_;
  Open open_[kMostDepth];
  size_t depth_ = 0;
  size_t elements_ = 0;    // announced in this reply
  size_t bulk_bytes_ = 0;  // announced in this reply
  Block* block_ = nullptr;
  Slice bulk_;
  size_t bulk_left_ = 0;
  const char* skipped_ = nullptr;  // why nothing of this reply is kept
  State state_ = State::kLine;
  bool has_cr_ = false;  // of a bulk's end
  Step step_ = Step::kMore;
  const char* error_ = "";
};

}  // namespace sluice::redis
