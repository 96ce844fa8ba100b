// SPDX-License-Identifier: GPL-2.0
// An array that begins inside its owner and moves to memory of the host when
// it grows. Cheap at both ends. Elements are plain data. The core never
// allocates by itself: sluice_host_resize() may refuse, and then reserve()
// says so before anything has changed.
#pragma once

#include "host.h"

namespace sluice
{

template<typename T, uint32_t Inline> class GrowingArray
{
public:
    uint32_t size() const { return count_; }
    bool empty() const { return count_ == 0; }
    T& operator[](uint32_t i) { return begin()[i]; }
    const T& operator[](uint32_t i) const { return begin()[i]; }
    T* begin() { return data() + head_; }
    T* end() { return begin() + count_; }
    const T* begin() const { return data() + head_; }
    const T* end() const { return begin() + count_; }
    T& back() { return begin()[count_ - 1]; }
    const T& back() const { return begin()[count_ - 1]; }

    // Room for `n` more, up to `limit` in all; false: none to be had.
    bool reserve(sluice_conn* owner, uint32_t n, uint32_t limit)
    {
        if (head_ + count_ + n <= capacity())
            return true;
        if (count_ + n > limit)
            return false;
        if (head_ >= n && head_ >= count_) {
            compact();
            return true;
        }
        return grow(owner, n);
    }

    // Needs room.
    void push_back(const T& value)
    {
        data()[head_ + count_] = value;
        count_++;
    }
    // Needs room.
    void insert(uint32_t at, const T& value)
    {
        T* first = begin();
        __builtin_memmove(first + at + 1, first + at, (count_ - at) * sizeof(T));
        first[at] = value;
        count_++;
    }
    void erase(uint32_t at, uint32_t n)
    {
        if (n == 0)
            return;
        if (at == 0) {
            head_ += n;
        } else {
            T* first = begin();
            __builtin_memmove(first + at, first + at + n, (count_ - at - n) * sizeof(T));
        }
        count_ -= n;
        if (count_ == 0)
            head_ = 0;
    }
    void clear() { head_ = count_ = 0; }
    void release(sluice_conn* owner)
    {
        if (heap_)
            sluice_host_resize(owner, heap_, heap_capacity_ * sizeof(T), 0);
        heap_ = nullptr;
        heap_capacity_ = 0;
        clear();
    }

private:
    T* data() { return heap_ ? heap_ : inline_; }
    const T* data() const { return heap_ ? heap_ : inline_; }
    uint32_t capacity() const { return heap_ ? heap_capacity_ : Inline; }

    void compact()
    {
        __builtin_memmove(data(), begin(), count_ * sizeof(T));
        head_ = 0;
    }
    bool grow(sluice_conn* owner, uint32_t n)
    {
        uint32_t wanted = capacity() * 2;
        while (wanted < count_ + n)
            wanted *= 2;
        compact();
        T* bigger = static_cast<T*>(
            sluice_host_resize(owner, heap_, heap_capacity_ * sizeof(T), wanted * sizeof(T)));
        if (!bigger)
            return head_ + count_ + n <= capacity();
        if (!heap_)
            __builtin_memcpy(static_cast<void*>(bigger), inline_, count_ * sizeof(T));
        heap_ = bigger;
        heap_capacity_ = wanted;
        return true;
    }

    T* heap_ = nullptr;
    uint32_t heap_capacity_ = 0;
    uint32_t head_ = 0;
    uint32_t count_ = 0;
    T inline_[Inline];
};

} // namespace sluice
