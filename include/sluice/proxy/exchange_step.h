// The steps of an exchange and which may follow which; data, so that tests can walk it.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::proxy {

enum class Step : uint8_t {
  kBorn,     // created, no head yet
  kRoute,    // which route; methods that are not forwarded
  kHandle,   // a local handler answers
  kPurge,    // PURGE of what the cache has
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
      "born",  "route", "handle",  "purge",   "admit",  "lookup", "follow", "serve",
      "pick",  "queue", "acquire", "connect", "send",   "await",  "judge",  "respond",
      "relay", "reply", "flush",   "abort",   "finish", "done"};
  return kNames[static_cast<uint8_t>(step)];
}

namespace detail {
constexpr uint32_t bit(Step step) noexcept { return 1u << static_cast<uint8_t>(step); }
template <typename... Steps>
constexpr uint32_t bits(Steps... steps) noexcept {
  return (bit(steps) | ...);
}
}  // namespace detail

// Which steps may follow each, in their order. Any step before the response has begun may end in a
// reply of our own; any may abort.
inline constexpr uint32_t kNextSteps[] = {
    /* born */ detail::bits(Step::kRoute, Step::kAdmit, Step::kReply, Step::kAbort),
    /* route */
    detail::bits(Step::kHandle, Step::kPurge, Step::kAdmit, Step::kReply, Step::kFlush,
                 Step::kAbort),
    /* handle */ detail::bits(Step::kReply, Step::kFlush, Step::kAbort),
    /* purge */ detail::bits(Step::kReply, Step::kFlush, Step::kAbort),
    /* admit */ detail::bits(Step::kLookup, Step::kPick, Step::kReply, Step::kAbort),
    /* lookup */ detail::bits(Step::kServe, Step::kFollow, Step::kPick, Step::kReply, Step::kAbort),
    /* follow */
    detail::bits(Step::kLookup, Step::kServe, Step::kRespond, Step::kReply, Step::kAbort),
    /* serve */ detail::bits(Step::kRelay, Step::kFlush, Step::kAbort),
    /* pick */ detail::bits(Step::kQueue, Step::kAcquire, Step::kReply, Step::kAbort),
    /* queue */ detail::bits(Step::kPick, Step::kReply, Step::kAbort),
    /* acquire */ detail::bits(Step::kConnect, Step::kSend, Step::kReply, Step::kAbort),
    /* connect */ detail::bits(Step::kSend, Step::kJudge, Step::kReply, Step::kAbort),
    /* send */ detail::bits(Step::kAwait, Step::kAbort),
    /* await */ detail::bits(Step::kJudge, Step::kRespond, Step::kReply, Step::kAbort),
    /* judge */
    detail::bits(Step::kPick, Step::kAcquire, Step::kRespond, Step::kReply, Step::kAbort),
    /* respond */ detail::bits(Step::kRelay, Step::kAbort),
    /* relay */ detail::bits(Step::kFlush, Step::kAbort),
    /* reply */ detail::bits(Step::kFlush, Step::kAbort),
    /* flush */ detail::bits(Step::kFinish, Step::kAbort),
    /* abort */ detail::bits(Step::kFinish),
    /* finish */ detail::bits(Step::kDone),
    /* done */ 0,
};

constexpr bool allowed(Step from, Step to) noexcept {
  return (kNextSteps[static_cast<uint8_t>(from)] & detail::bit(to)) != 0;
}

}  // namespace sluice::proxy
