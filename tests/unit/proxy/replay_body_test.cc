#include "sluice/proxy/replay_body.h"

#include <doctest/doctest.h>

#include <string>

namespace sluice::proxy {

namespace {

Chain chain_of(std::string_view bytes) {
  Chain chain;
  chain.push_back(Slice::copy_of(bytes));
  return chain;
}

}  // namespace

TEST_CASE("proxy/replay_body: nothing sent is replayable and empty") {
  ReplayBody body;
  CHECK(body.is_replayable());
  CHECK(body.replay().is_empty());
}

TEST_CASE("proxy/replay_body: replays all bytes in order, as often as asked") {
  ReplayBody body;
  body.remember(chain_of("one "));
  body.remember(chain_of("two "));
  CHECK(body.replay().to_string() == "one two ");
  body.remember(chain_of("three"));
  CHECK(body.replay().to_string() == "one two three");
  CHECK(body.replay().to_string() == "one two three");
}

TEST_CASE("proxy/replay_body: the bytes are shared and outlive the chain that was shown") {
  ChunkPool pool;
  {
    ReplayBody body;
    {
      Chain sent;
      ChainWriter(pool, sent).write("shared");
      body.remember(sent);
      CHECK(body.replay().slice(0).data() == sent.slice(0).data());
    }
    CHECK(pool.chunks_in_use() == 1);
    CHECK(body.replay().to_string() == "shared");
    body.drop();
    CHECK(pool.chunks_in_use() == 0);
  }
}

TEST_CASE("proxy/replay_body: the cap is held exactly and stays passed") {
  ReplayBody body;
  body.remember(chain_of(std::string(ReplayBody::kCap, 'a')));
  CHECK(body.is_replayable());
  body.remember(chain_of(""));
  CHECK(body.is_replayable());
  body.remember(chain_of("b"));
  CHECK_FALSE(body.is_replayable());
  CHECK(body.replay().is_empty());
  body.remember(chain_of("c"));
  CHECK_FALSE(body.is_replayable());
  CHECK(body.replay().is_empty());
}

TEST_CASE("proxy/replay_body: many small slices may not hold many chunks") {
  ReplayBody body;
  for (size_t i = 0; i < ReplayBody::kMaxSlices; ++i) body.remember(chain_of("x"));
  CHECK(body.is_replayable());
  body.remember(chain_of("x"));
  CHECK_FALSE(body.is_replayable());
}

}  // namespace sluice::proxy
