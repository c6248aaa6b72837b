#include "sluice/cache/policy_status.h"

#include <cstring>

#include "sluice/base/check.h"
#include "sluice/base/strings.h"

namespace sluice::cache {
namespace {

class Member {
 public:
  explicit Member(char* out) noexcept : out_(out) {}

  void put(std::string_view text) noexcept {
    SL_CHECK(text.size() <= kMostCacheStatus - size_);
    if (!text.empty()) std::memcpy(out_ + size_, text.data(), text.size());
    size_ += text.size();
  }
  void put_number(int64_t number) noexcept {
    char digits[20];
    if (number < 0) put("-");
    const uint64_t size = number < 0 ? 0 - static_cast<uint64_t>(number) : number;
    put({digits, write_decimal(digits, size)});
  }
  size_t size() const noexcept { return size_; }

 private:
  char* out_;
  size_t size_ = 0;
};

// Whole seconds, rounded down: what is stale by a moment is negative.
int64_t floor_seconds(Duration duration) noexcept {
  return std::chrono::floor<std::chrono::seconds>(duration).count();
}

}  // namespace

std::string_view to_string(ForwardReason reason) noexcept {
  switch (reason) {
    case ForwardReason::none:
      return "";
    case ForwardReason::bypass:
      return "bypass";
    case ForwardReason::method:
      return "method";
    case ForwardReason::uri_miss:
      return "uri-miss";
    case ForwardReason::vary_miss:
      return "vary-miss";
    case ForwardReason::request:
      return "request";
    case ForwardReason::stale:
      return "stale";
    case ForwardReason::partial:
      return "partial";
  }
  return "";
}

size_t write_cache_status(char* out, const CacheStatus& status) noexcept {
  SL_CHECK(status.detail.size() <= kMostCacheStatusDetail);
  Member member(out);
  member.put("sluice; ");
  // RFC 9211 sections 2.1 and 2.2: either of the two.
  if (status.forwarded == ForwardReason::none) {
    member.put("hit");
  } else {
    member.put("fwd=");
    member.put(to_string(status.forwarded));
  }
  if (status.forward_status != 0) {  // section 2.3
    member.put("; fwd-status=");
    member.put_number(status.forward_status);
  }
  if (status.ttl) {  // section 2.4
    member.put("; ttl=");
    member.put_number(floor_seconds(*status.ttl));
  }
  if (status.is_stored) member.put("; stored");        // section 2.5
  if (status.is_collapsed) member.put("; collapsed");  // section 2.6
  if (!status.detail.empty()) {                        // section 2.8
    member.put("; detail=");
    member.put(status.detail);
  }
  return member.size();
}

}  // namespace sluice::cache
