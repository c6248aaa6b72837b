#include "sluice/base/arena.h"

namespace sluice {

void* Arena::allocate_slow(size_t size, size_t align) noexcept {
  // Room for the alignment, which a block's start need not have.
  SL_CHECK(size <= UINT32_MAX - align);
  Chunk* block = pool_->get(size + align);
  if (chunk_ != nullptr && block->capacity > kChunkSize) {
    // A block for this piece alone goes behind the current one, whose rest stays usable.
    block->next_free = chunk_->next_free;
    chunk_->next_free = block;
    return block->data() + align_up(block, 0, align);
  }
  block->next_free = chunk_;
  chunk_ = block;
  size_t at = align_up(block, 0, align);
  used_ = at + size;
  return block->data() + at;
}

void Arena::reset() noexcept {
  while (chunk_ != nullptr) {
    Chunk* block = chunk_;
    chunk_ = block->next_free;
    ChunkPool::unref(block);
  }
  used_ = 0;
}

}  // namespace sluice
