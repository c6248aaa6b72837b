#include "sluice/redis/resp.h"

#include <hiredis/hiredis.h>

#include <utility>

#include "sluice/redis/command.h"
#include "support.h"

namespace sluice::redis {
namespace {

using test::show;

// All replies in `pieces` as text, one a line; "!error" ends it.
std::string read(std::initializer_list<std::string_view> pieces, RespLimits limits = {}) {
  RespReader reader(limits);
  std::string text;
  for (std::string_view piece : pieces) {
    reader.feed(Slice::copy_of(piece));
    RespReader::Step step;
    while ((step = reader.next()) == RespReader::Step::kReply) text += show(reader.reply()) + "\n";
    if (step == RespReader::Step::kBroken) return text + "!" + reader.error();
  }
  return text;
}

// What hiredis makes of it: its reader is too trusting for what comes from a network, but it knows
// the format well.
std::string show(const redisReply& reply) {
  const std::string text = reply.str != nullptr ? std::string(reply.str, reply.len) : "";
  switch (reply.type) {
    case REDIS_REPLY_STATUS:
      return "+" + text;
    case REDIS_REPLY_ERROR:
      return "-" + text;
    case REDIS_REPLY_INTEGER:
      return ":" + std::to_string(reply.integer);
    case REDIS_REPLY_STRING:
      return '"' + text + '"';
    case REDIS_REPLY_NIL:
      return "nil";
    default:
      break;
  }
  std::string all = "[";
  for (size_t i = 0; i < reply.elements; ++i) {
    all += (i > 0 ? "," : "") + show(*reply.element[i]);
  }
  return all + "]";
}
std::string read_by_hiredis(std::string_view bytes) {
  redisReader* reader = redisReaderCreate();
  std::string text;
  REQUIRE(redisReaderFeed(reader, bytes.data(), bytes.size()) == REDIS_OK);
  void* reply = nullptr;
  while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply != nullptr) {
    text += show(*static_cast<redisReply*>(reply)) + "\n";
    freeReplyObject(reply);
  }
  redisReaderFree(reader);
  return text;
}

TEST_CASE("redis/resp: every reply, cut at every place, and as hiredis reads it") {
  struct Case {
    std::string_view bytes;
    std::string_view text;
  };
  const Case cases[] = {
      {"+OK\r\n", "+OK\n"},
      {"-ERR no\r\n", "-ERR no\n"},
      {":0\r\n:-1\r\n:9223372036854775807\r\n", ":0\n:-1\n:9223372036854775807\n"},
      {"$5\r\nhello\r\n", "\"hello\"\n"},
      {"$0\r\n\r\n", "\"\"\n"},
      {"$4\r\n\r\n\r\n\r\n", "\"\r\n\r\n\"\n"},
      {"$-1\r\n*-1\r\n", "nil\nnil\n"},
      {"*0\r\n", "[]\n"},
      {"*3\r\n$1\r\na\r\n$-1\r\n:7\r\n", "[\"a\",nil,:7]\n"},
      {"*2\r\n*2\r\n+a\r\n*0\r\n-b\r\n+c\r\n", "[[+a,[]],-b]\n+c\n"},
      {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "[[[[[[:1]]]]]]\n"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    CHECK(read({c.bytes}) == c.text);
    CHECK(read_by_hiredis(c.bytes) == c.text);
    for (size_t cut = 1; cut < c.bytes.size(); ++cut) {
      CAPTURE(cut);
      CHECK(read({c.bytes.substr(0, cut), c.bytes.substr(cut)}) == c.text);
    }
    RespReader reader{{}};
    std::string text;
    for (const char& byte : c.bytes) {
      reader.feed(Slice::copy_of({&byte, 1}));
      while (reader.next() == RespReader::Step::kReply) text += show(reader.reply()) + "\n";
    }
    CHECK(text == c.text);
  }
}

TEST_CASE("redis/resp: -9223372036854775808 is the least integer") {
  CHECK(read({":-9223372036854775808\r\n"}) == ":-9223372036854775808\n");
}

TEST_CASE("redis/resp: what is not RESP is refused, wherever it is cut") {
  for (std::string_view bytes : {"\r\n",
                                 "\n",
                                 "HTTP/1.1 200 OK\r\n",
                                 "%1\r\n",
                                 "+OK\n",
                                 "+O\rK\r\n",
                                 "+OK\r\r\n",
                                 ":\r\n",
                                 ":+1\r\n",
                                 ":01\r\n",
                                 ":1 \r\n",
                                 ": 1\r\n",
                                 ":1x\r\n",
                                 ":-\r\n",
                                 ":9223372036854775808\r\n",
                                 ":-9223372036854775809\r\n",
                                 ":18446744073709551616\r\n",
                                 "$\r\n",
                                 "$-2\r\n",
                                 "$x\r\n",
                                 "$1\r\nab\r\n",
                                 "$1\r\na\rb",
                                 "$1\r\na\n",
                                 "*-2\r\n",
                                 "*x\r\n",
                                 "$99999999999999999999999999\r\n",
                                 "*99999999999999999999999999\r\n"}) {
    CAPTURE(bytes);
    CHECK(read({bytes}).find('!') == 0);
    for (size_t cut = 1; cut < bytes.size(); ++cut) {
      CHECK(read({bytes.substr(0, cut), bytes.substr(cut)}).find('!') == 0);
    }
  }
}

TEST_CASE("redis/resp: limits hold before memory is taken") {
  const RespLimits limits{.bulk = 10, .reply = 15, .line = 24, .elements = 4};
  struct Case {
    std::string_view bytes;
    std::string_view text;
  };
  const Case cases[] = {
      {"$10\r\n0123456789\r\n", "\"0123456789\"\n"},
      {"$11\r\n01234567890\r\n:1\r\n", "-TOOLARGE a value is too large\n:1\n"},
      {"$11\r\n01234567890xx", "!a value does not end where it should"},
      {"$9223372036854775807\r\n", "!a value is larger than any"},
      {"*2\r\n$10\r\n0123456789\r\n$6\r\n012345\r\n:1\r\n", "-TOOLARGE a reply is too large\n:1\n"},
      {"$10\r\n0123456789\r\n$10\r\n0123456789\r\n", "\"0123456789\"\n\"0123456789\"\n"},
      {"+012345678901234567890\r\n", "+012345678901234567890\n"},
      {"+0123456789012345678901\r\n", "!a line is too long"},
      {"+01234567890123456789012345", "!a line is too long"},
      {"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "[:1,:2,:3,:4]\n"},
      {"*5\r\n:1\r\n:2\r\n:3\r\n$2\r\nab\r\n*1\r\n:5\r\n+next\r\n",
       "-TOOLARGE a reply has too many elements\n+next\n"},
      {"*2147483647\r\n", "!a reply has far too many elements"},
      {"*9223372036854775807\r\n", "!a reply has far too many elements"},
      {"*2\r\n*2\r\n:1\r\n:2\r\n*1\r\n$11\r\n01234567890\r\n$2\r\nab\r\n",
       "-TOOLARGE a reply has too many elements\n\"ab\"\n"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    CHECK(read({c.bytes}, limits) == c.text);
    CHECK(read({c.bytes.substr(0, 1), c.bytes.substr(1)}, limits) == c.text);
  }
  std::string deep;
  for (size_t i = 0; i < kMostDepth; ++i) deep += "*1\r\n";
  CHECK(read({deep + ":1\r\n"}).find('!') == std::string::npos);
  CHECK(read({deep + "*1\r\n"}) == "!a reply is nested too deep");
}

TEST_CASE("redis/resp: after a violation nothing is read any more, until a reset") {
  RespReader reader{{}};
  reader.feed(Slice::copy_of("*2\r\n$3\r\nab"));
  CHECK(reader.next() == RespReader::Step::kMore);
  reader.feed(Slice::copy_of("cxx+OK\r\n"));
  CHECK(reader.next() == RespReader::Step::kBroken);
  reader.feed(Slice::copy_of("+OK\r\n"));
  CHECK(reader.next() == RespReader::Step::kBroken);
  reader.reset();
  reader.feed(Slice::copy_of("+OK\r\n"));
  REQUIRE(reader.next() == RespReader::Step::kReply);
  CHECK(show(reader.reply()) == "+OK");
}

TEST_CASE("redis/resp: small values stay in their chunk, large ones get a block of their own") {
  ChunkPool pool;
  {
    Chain chain;
    ChainWriter writer(pool, chain);
    const std::string small(kOwnBlock - 1, 's');
    const std::string large(kOwnBlock, 'l');
    writer.write("*2\r\n$4095\r\n" + small + "\r\n$4096\r\n" + large + "\r\n");
    writer.flush();
    REQUIRE(chain.slice_count() == 1);
    const std::string_view wire = chain.slice(0).view();
    RespReader reader{{}};
    reader.feed(chain.pop_front());
    REQUIRE(reader.next() == RespReader::Step::kReply);
    CHECK(reader.reply().at(0).text() == small);
    CHECK(reader.reply().at(0).text().data() == wire.data() + 4 + 7);
    CHECK(reader.reply().at(1).text() == large);
    const char* block = reader.reply().at(1).text().data();
    CHECK((block < wire.data() || block >= wire.data() + wire.size()));
    Slice kept = reader.reply().at(1).bytes();
    CHECK(reader.next() == RespReader::Step::kMore);
    CHECK(kept.view() == large);
  }
  CHECK(pool.chunks_in_use() == 0);
}

TEST_CASE("redis/resp: elements of an array, nested ones too") {
  RespReader reader{{}};
  reader.feed(Slice::copy_of("*4\r\n*2\r\n:1\r\n*1\r\n:2\r\n+x\r\n*0\r\n$1\r\ny\r\n"));
  REQUIRE(reader.next() == RespReader::Step::kReply);
  const Reply reply = reader.reply();
  REQUIRE(reply.size() == 4);
  CHECK(show(reply.at(0)) == "[:1,[:2]]");
  CHECK(reply.at(0).at(1).at(0).integer() == 2);
  CHECK(reply.at(1).text() == "x");
  CHECK(reply.at(2).size() == 0);
  CHECK(reply.at(3).text() == "y");
  CHECK(reply.at(4).is_nil());
  CHECK(reply.at(1).at(0).is_nil());
}

TEST_CASE("redis/command: text is copied, the slices of a chain go out as they are") {
  ChunkPool pool;
  {
    Chain out;
    Chain body;
    body.push_back(Slice::copy_of("ab"));
    body.push_back(Slice::copy_of(std::string("c\0\r\n", 4)));
    const char* first = body.slice(0).data();
    const std::string key = "k\r\n";
    const Arg args[] = {"SET", key, body, ""};
    const size_t most = command_size(args);
    {
      ChainWriter writer(pool, out);
      write_command(args, writer, out);
    }
    CHECK(body.is_empty());
    CHECK(out.to_string() ==
          std::string("*4\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$6\r\nabc\0\r\n\r\n$0\r\n\r\n", 40));
    CHECK(out.slice(1).data() == first);
    CHECK(out.size() <= most);
  }
  CHECK(pool.chunks_in_use() == 0);
}

}  // namespace
}  // namespace sluice::redis
