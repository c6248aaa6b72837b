#include "sluice/proxy/site.h"

#include <endian.h>
#include <time.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <cstring>
#include <new>

#include "sluice/base/check.h"
#include "sluice/base/strings.h"
#include "sluice/http/http_date.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)
#define ASAN_UNPOISON_MEMORY_REGION(at, size)
#endif

namespace sluice::proxy {

namespace {

// Stands in front of an exchange's storage.
struct alignas(std::max_align_t) Storage {
  Storage* next;
  size_t size;
  void* bytes() noexcept { return this + 1; }
  static Storage* of(void* bytes) noexcept { return static_cast<Storage*>(bytes) - 1; }
};

// All bytes at once: each half of a byte becomes a byte of its own, and then its digit.
#ifdef __SSE2__
void write_hex(char* out, uint64_t high, uint64_t low) noexcept {
  const __m128i bytes =
      _mm_set_epi64x(static_cast<int64_t>(htobe64(low)), static_cast<int64_t>(htobe64(high)));
  const __m128i mask = _mm_set1_epi8(0x0F);
  const __m128i upper = _mm_and_si128(_mm_srli_epi64(bytes, 4), mask);
  const __m128i lower = _mm_and_si128(bytes, mask);
  const auto put = [&out](__m128i halves) noexcept {
    const __m128i is_letter = _mm_cmpgt_epi8(halves, _mm_set1_epi8(9));
    const __m128i digits = _mm_add_epi8(halves, _mm_set1_epi8('0'));
    const __m128i shift = _mm_and_si128(is_letter, _mm_set1_epi8('a' - '0' - 10));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_add_epi8(digits, shift));
    out += 16;
  };
  put(_mm_unpacklo_epi8(upper, lower));
  put(_mm_unpackhi_epi8(upper, lower));
}
#else
void write_hex(char* out, uint64_t high, uint64_t low) noexcept {
  for (const uint64_t value : {high, low}) {
    for (int shift : {32, 0}) {
      uint64_t half = (value >> shift) & 0xFFFFFFFF;
      half = (half | half << 16) & 0x0000FFFF0000FFFF;
      half = (half | half << 8) & 0x00FF00FF00FF00FF;
      half = (half | half << 4) & 0x0F0F0F0F0F0F0F0F;
      const uint64_t is_letter = ((half + 0x0606060606060606) >> 4) & 0x0101010101010101;
      const uint64_t digits = htobe64(half + 0x3030303030303030 + is_letter * ('a' - '0' - 10));
      std::memcpy(out, &digits, sizeof(digits));
      out += sizeof(digits);
    }
  }
}
#endif

http::FieldEdits edits_of(const config::HeaderEdits& configured) {
  http::FieldEdits edits;
  for (const auto& field : configured.set) edits.set.emplace_back(lower(field.name), field.value);
  for (const auto& field : configured.add) edits.add.emplace_back(field.name, field.value);
  for (const auto& name : configured.remove) edits.remove.push_back(lower(name));
  return edits;
}

}  // namespace

// WorkerKit ---------------------------------------------------------------------------------------

// time(2) costs a few nanoseconds: it reads what the kernel noted at its last tick.
std::string_view WorkerKit::http_date() noexcept {
  const int64_t second = time(nullptr);
  if (second != date_second_) {
    http::write_http_date(date_, second);
    date_second_ = second;
  }
  return {date_, sizeof(date_)};
}

// The first byte is the worker's: two workers never make the same id, whatever their seeds.
void WorkerKit::write_id(char out[32]) noexcept {
  const uint64_t worker = uint64_t{index & 0xFF} << 56;
  const uint64_t high = worker | (random.next() >> 8);
  write_hex(out, high, random.next());
}

void* WorkerKit::take_exchange_storage(size_t size) {
  Storage* storage = static_cast<Storage*>(free_exchanges_);
  if (storage != nullptr && storage->size >= size) {
    free_exchanges_ = storage->next;
    --free_count_;
    ASAN_UNPOISON_MEMORY_REGION(storage->bytes(), storage->size);
    return storage->bytes();
  }
  storage = new (::operator new(sizeof(Storage) + size)) Storage{nullptr, size};
  return storage->bytes();
}

void WorkerKit::give_exchange_storage(void* bytes) noexcept {
  Storage* storage = Storage::of(bytes);
  if (free_count_ == kMostFree) {
    ::operator delete(storage);
    return;
  }
  ASAN_POISON_MEMORY_REGION(bytes, storage->size);
  storage->next = static_cast<Storage*>(free_exchanges_);
  free_exchanges_ = storage;
  ++free_count_;
}

WorkerKit::~WorkerKit() {
  while (free_exchanges_ != nullptr) {
    Storage* storage = static_cast<Storage*>(free_exchanges_);
    free_exchanges_ = storage->next;
    ASAN_UNPOISON_MEMORY_REGION(storage->bytes(), storage->size);
    ::operator delete(storage);
  }
}

// Site --------------------------------------------------------------------------------------------

Site::Site(WorkerKit& kit, config::SnapshotPtr snapshot,
           const std::vector<upstream::PoolParts>& parts, stats::NameTable& names)
    : kit_(kit), snapshot_(std::move(snapshot)) {
  const std::vector<config::Pool>& pools = snapshot_->config.pools;
  SL_CHECK(parts.size() == pools.size());
  pools_.reserve(pools.size());
  for (size_t i = 0; i < pools.size(); ++i) {
    pools_.push_back(std::make_unique<upstream::Pool>(pools[i], parts[i].endpoints, parts[i].shared,
                                                      kit.index, kit.loop, kit.counters));
  }
  routes_.reserve(snapshot_->routes().size());
  for (const config::Route& route : snapshot_->routes()) {
    SiteRoute made;
    made.route = &route;
    if (route.action == config::Route::Action::kPool) made.pool = pools_[route.pool_index].get();
    made.id = names.intern(route.name);
    made.request_edits = edits_of(route.request_headers);
    made.response_edits = edits_of(route.response_headers);
    if (route.cache) {
      has_cache_ = true;
      changes_urls_ |= !route.strip_prefix.empty() || route.cache->key.sort_query ||
                       route.cache->key.query != config::RouteCacheKey::Query::kAll;
      made.cache = make_site_cache(route, snapshot_->config);
      // An endpoint may give Surrogate-Control only to who says that it knows it.
      if (made.cache->is_surrogate) {
        made.request_edits.set.emplace_back("surrogate-capability", "sluice=\"Surrogate/1.0\"");
      }
    }
    routes_.push_back(std::move(made));
  }
}

Site::Site(WorkerKit& kit, Handler& handler, stats::NameTable&) : kit_(kit), handler_(&handler) {}

Site::~Site() { SL_CHECK(active_ == 0); }

}  // namespace sluice::proxy
