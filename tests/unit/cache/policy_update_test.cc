#include "sluice/cache/policy_update.h"

#include "entries.h"
#include "policy_cases.h"
#include "sluice/cache/memory_budget.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

TEST_CASE("cache/policy: which answers that are not stored are what the resource became") {
  struct Row {
    FieldRows request;
    int status;
    NoStoreReason refused;
    bool is_of_resource;
  };
  using enum NoStoreReason;
  const std::initializer_list<Row> rows = {
      {{}, 200, kNoStore, true},
      {{}, 200, kPrivate, true},
      {{}, 301, kNoFreshness, true},
      {{}, 404, kNoFreshness, true},
      {{}, 410, kNoStore, true},
      // What became of this request says nothing of others.
      {{}, 400, kNoFreshness, false},
      {{}, 401, kNoStore, false},
      {{}, 403, kNoStore, false},
      {{}, 429, kStatus, false},
      {{}, 500, kNoFreshness, false},
      {{}, 503, kNoStore, false},
      // Nor what one user gets.
      {{{"Authorization", "Basic x"}}, 200, kNoStore, false},
      {{{"Cookie", "a=b"}}, 200, kPrivate, false},
      {{{"Cookie", "a=b"}}, 200, kSetCookie, false},
      {{{"Cookie", "a=b"}}, 200, kNoStore, true},
  };
  int i = 0;
  for (const Row& row : rows) {
    CAPTURE(i);
    http::RequestHead request;
    request.fields = row.request;
    CHECK(is_of_resource(request, row.status, row.refused) == row.is_of_resource);
    ++i;
  }
}
