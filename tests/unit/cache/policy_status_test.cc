#include "sluice/cache/policy_status.h"

#include "policy_cases.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

TEST_CASE("cache/policy: the member of Cache-Status (RFC 9211 2)") {
  struct Row {
    CacheStatus status;
    std::string_view text;
  };
  using enum ForwardReason;
  for (const Row& row : {
           Row{{.ttl = 4_s, .detail = "memory"}, "sluice; hit; ttl=4; detail=memory"},
           Row{{.ttl = 4_s + Duration(999'999'999), .detail = "redis"},
               "sluice; hit; ttl=4; detail=redis"},
           Row{{.ttl = -Duration(1)}, "sluice; hit; ttl=-1"},
           Row{{.ttl = -30_s}, "sluice; hit; ttl=-30"},
           Row{{.ttl = Duration{}}, "sluice; hit; ttl=0"},
           Row{{.forwarded = uri_miss, .is_stored = true}, "sluice; fwd=uri-miss; stored"},
           Row{{.forwarded = uri_miss, .is_collapsed = true}, "sluice; fwd=uri-miss; collapsed"},
           Row{{.forwarded = vary_miss, .detail = "no-store"},
               "sluice; fwd=vary-miss; detail=no-store"},
           Row{{.forwarded = stale, .forward_status = 304, .ttl = 60_s, .is_stored = true},
               "sluice; fwd=stale; fwd-status=304; ttl=60; stored"},
           Row{{.forwarded = bypass}, "sluice; fwd=bypass"},
           Row{{.forwarded = method}, "sluice; fwd=method"},
           Row{{.forwarded = request}, "sluice; fwd=request"},
           Row{{.forwarded = partial}, "sluice; fwd=partial"},
       }) {
    char out[kMostCacheStatus];
    CHECK(std::string_view(out, write_cache_status(out, row.status)) == row.text);
  }
}

TEST_CASE("cache/policy: the longest member fits") {
  char out[kMostCacheStatus];
  const std::string detail(kMostCacheStatusDetail, 'x');
  const CacheStatus most{.forwarded = ForwardReason::vary_miss,
                         .forward_status = 999,
                         .ttl = Duration::min(),
                         .is_stored = true,
                         .is_collapsed = true,
                         .detail = detail};
  CHECK(write_cache_status(out, most) <= kMostCacheStatus);
  for (int reason = 0; reason < static_cast<int>(NoStoreReason::kCount); ++reason) {
    CHECK(to_string(static_cast<NoStoreReason>(reason)).size() <= kMostCacheStatusDetail);
  }
}
