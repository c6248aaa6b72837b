// Writes one head into one contiguous piece, unchanged lines as runs. Private to http.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "sluice/base/chain.h"
#include "sluice/base/check.h"
#include "sluice/base/strings.h"
#include "sluice/http/message.h"

namespace sluice::http {

class HeadWriter {
 public:
  // `raw` is the head that came, which kept lines are copied out of; `most` bounds all that is
  // written except for fields, which are counted here.
  HeadWriter(std::string_view raw, const FieldList& fields, size_t most, ChainWriter& out)
      : raw_(raw), out_(out) {
    most += raw.size();
    for (const Field& field : fields) {
      if (!is_in_raw(field)) most += field.name.size() + field.value.size() + 4;
    }
    begin_ = at_ = out.reserve(most);
    end_ = begin_ + most;
  }
  HeadWriter(const HeadWriter&) = delete;
  HeadWriter& operator=(const HeadWriter&) = delete;

  // The bytes of raw up to its first line's end, when that line stays as it came.
  void keep_first_line(const char* line_end) noexcept {
    run_begin_ = raw_.data();
    run_end_ = line_end;
  }
  void keep(const Field& field) noexcept {
    if (!is_in_raw(field)) return line(field.name, field.value);
    // Behind the value there is only white space before CRLF.
    const char* line_end = field.value.data() + field.value.size();
    while (*line_end != '\r') ++line_end;
    if (run_end_ != field.name.data()) {
      put_run();
      run_begin_ = field.name.data();
    }
    run_end_ = line_end + 2;
  }
  void put(std::string_view bytes) noexcept {
    if (run_end_ != nullptr) put_run();
    copy(bytes);
  }
  void put_number(uint64_t number) noexcept {
    char digits[20];
    put({digits, write_decimal(digits, number)});
  }
  void line(std::string_view name, std::string_view value) noexcept {
    put(name);
    copy(": ");
    copy(value);
    copy("\r\n");
  }
  // The empty line; nothing may follow.
  void finish() {
    put("\r\n");
    out_.commit(static_cast<size_t>(at_ - begin_));
  }

 private:
  bool is_in_raw(const Field& field) const noexcept {
    const auto at = reinterpret_cast<uintptr_t>(field.name.data());
    const auto raw = reinterpret_cast<uintptr_t>(raw_.data());
    return at - raw < raw_.size();
  }
  void put_run() noexcept {
    if (run_end_ == nullptr) return;
    copy({run_begin_, static_cast<size_t>(run_end_ - run_begin_)});
    run_begin_ = run_end_ = nullptr;
  }
  void copy(std::string_view bytes) noexcept {
    SL_CHECK(bytes.size() <= static_cast<size_t>(end_ - at_));
    if (bytes.empty()) return;
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

  std::string_view raw_;
  ChainWriter& out_;
  char* begin_;
  char* at_;
  char* end_;
  const char* run_begin_ = nullptr;
  const char* run_end_ = nullptr;
};

}  // namespace sluice::http
