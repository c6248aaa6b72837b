// The steps of an exchange and which may follow which; data, so that tests can walk it.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::proxy {

enum class Step : uint8_t {
  kBorn,     // created, no head yet
  kRoute,    // which route; methods that are not forwarded
  kHandle,   // a local handler answers
  kAdmit,    // limits, counters
  kLookup,   // what the cache has
  kFollow,   // a fetch for the cache is under way
  kServe,    // a stored response to the client
  kPick,     // which endpoint
  kQueue,    // waiting for a place at one
  kAcquire,  // an idle connection, or
  kConnect,  // waiting for a new one
  kSend,     // head and what has come of the body
  kAwait,    // request body goes on; waiting for the response's head
  kJudge,    // a try failed: resend, retry or give up
  kRespond,  // response head to the client
  kRelay,    // bodies
  kReply,    // an answer of our own
  kFlush,    // all is sent; the client still takes it
  kAbort,    // cannot be completed
  kFinish,   // counters, log line
  kDone
};

constexpr std::string_view to_string(Step step) noexcept {
  constexpr std::string_view kNames[] = {
      "born",    "route", "handle",  "admit",   "lookup", "follow", "serve",
      "pick",    "queue", "acquire", "connect", "send",   "await",  "judge",
      "respond", "relay", "reply",   "flush",   "abort",  "finish", "done"};
  return kNames[static_cast<uint8_t>(step)];
}

namespace detail {
constexpr uint32_t bit(Step step) noexcept { return 1u << static_cast<uint8_t>(step); }
template <typename... Steps>
constexpr uint32_t bits(Steps... steps) noexcept {
  return (bit(steps) | ...);
}
}  // namespace detail

// Any step before the response has begun may end in a reply of our own; any may abort.
constexpr bool allowed(Step from, Step to) noexcept {
  using detail::bits;
  uint32_t next = 0;
  switch (from) {
    case Step::kBorn:
      next = bits(Step::kRoute, Step::kAdmit, Step::kReply, Step::kAbort);
      break;
    case Step::kRoute:
      next = bits(Step::kHandle, Step::kAdmit, Step::kReply, Step::kFlush, Step::kAbort);
      break;
    case Step::kHandle:
      next = bits(Step::kReply, Step::kFlush, Step::kAbort);
      break;
    case Step::kAdmit:
      next = bits(Step::kLookup, Step::kPick, Step::kReply, Step::kAbort);
      break;
    case Step::kLookup:
      next = bits(Step::kServe, Step::kFollow, Step::kPick, Step::kReply, Step::kAbort);
      break;
    case Step::kFollow:
      next = bits(Step::kLookup, Step::kServe, Step::kRespond, Step::kReply, Step::kAbort);
      break;
    case Step::kServe:
      next = bits(Step::kRelay, Step::kFlush, Step::kAbort);
      break;
    case Step::kPick:
      next = bits(Step::kQueue, Step::kAcquire, Step::kReply, Step::kAbort);
      break;
    case Step::kQueue:
      next = bits(Step::kPick, Step::kReply, Step::kAbort);
      break;
    case Step::kAcquire:
      next = bits(Step::kConnect, Step::kSend, Step::kReply, Step::kAbort);
      break;
    case Step::kConnect:
      next = bits(Step::kSend, Step::kJudge, Step::kReply, Step::kAbort);
      break;
    case Step::kSend:
      next = bits(Step::kAwait, Step::kAbort);
      break;
    case Step::kAwait:
      next = bits(Step::kJudge, Step::kRespond, Step::kReply, Step::kAbort);
      break;
    case Step::kJudge:
      next = bits(Step::kPick, Step::kAcquire, Step::kRespond, Step::kReply, Step::kAbort);
      break;
    case Step::kRespond:
      next = bits(Step::kRelay, Step::kAbort);
      break;
    case Step::kRelay:
      next = bits(Step::kFlush, Step::kAbort);
      break;
    case Step::kReply:
      next = bits(Step::kFlush, Step::kAbort);
      break;
    case Step::kFlush:
      next = bits(Step::kFinish, Step::kAbort);
      break;
    case Step::kAbort:
      next = bits(Step::kFinish);
      break;
    case Step::kFinish:
      next = bits(Step::kDone);
      break;
    case Step::kDone:
      break;
  }
  return (next & detail::bit(to)) != 0;
}

}  // namespace sluice::proxy
