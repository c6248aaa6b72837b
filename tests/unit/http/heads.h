// What the tests of http share: heads parsed into an arena of their own, and text out of chains.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/chain.h"
#include "sluice/http/forwarding.h"
#include "sluice/http/h1_parser.h"

namespace sluice::http::test {

inline const HeadLimits kLimits;

// Memory for one test; what is parsed with it lives as long.
struct Memory {
  ChunkPool pool;
  Arena arena{pool};

  Result<RequestHead> request(std::string_view head, const HeadLimits& limits = kLimits) {
    return parse_request_head(head, limits, arena);
  }
  Result<ResponseHead> response(std::string_view head, Method method = Method::get,
                                const HeadLimits& limits = kLimits) {
    return parse_response_head(head, limits, method, arena);
  }
  Errc request_error(std::string_view head, const HeadLimits& limits = kLimits) {
    return request(head, limits).error().code();
  }
  Errc response_error(std::string_view head, Method method = Method::get) {
    return response(head, method).error().code();
  }
  template <typename F>
  std::string written(F&& write) {
    Chain chain;
    {
      ChainWriter writer(pool, chain);
      write(writer);
    }
    return chain.to_string();
  }
};

}  // namespace sluice::http::test
