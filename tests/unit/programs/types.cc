// SPDX-License-Identifier: Apache-2.0
// Types whose fields lie in every way that a compiler has; run, it prints where it thinks they are: type, path, offset, size, signed.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <type_traits>
#include <vector>

struct Base {
  virtual ~Base() {}
  int64_t of_base;
};
struct Mixin {
  char first;
  struct {
    int16_t unnamed;
    union {
      int32_t small;
      uint64_t large;
    };
  };
};
enum Kind : uint8_t { audio, video };
namespace media {
struct Header {
  bool marker;
  uint16_t sequence;
};
struct Packet {
  Header header;
  const volatile int32_t size = 0;
  typedef unsigned char byte;
  byte type;
  Kind kind;
  int bits : 3;
  double real;
  static int shared;
  void *payload;
  std::vector<int *> queue;
  std::map<uint16_t, int *> waiting;
};
int Packet::shared = 0;
}  // namespace media
struct Derived : Base, Mixin, media::Packet {
  int8_t own;
};
struct __attribute__((packed)) Packed {
  char before;
  uint32_t value;
};
struct Virtual : virtual Base {
  int of_virtual;
};

template <class T>
void show(const char *name, const void *object, const T &field) {
  bool is_signed = std::is_signed<T>::value;
  printf("%s %ld %zu %d\n", name, (long)((const char *)&field - (const char *)object), sizeof(T), is_signed);
}

int main() {
  static Derived d;
  static Packed p;
  static Virtual v;
  show("Derived of_base", &d, d.of_base);
  show("Derived first", &d, d.first);
  show("Derived unnamed", &d, d.unnamed);
  show("Derived small", &d, d.small);
  show("Derived large", &d, d.large);
  show("Derived header.sequence", &d, d.header.sequence);
  show("Derived own", &d, d.own);
  const media::Packet &m = d;
  show("media::Packet header.marker", &m, m.header.marker);
  show("media::Packet size", &m, m.size);
  show("media::Packet type", &m, m.type);
  show("media::Packet payload", &m, m.payload);
  printf("media::Packet kind %ld 1 0\n", (long)((const char *)&m.kind - (const char *)&m));
  const char *start = (const char *)&m;
  printf("media::Packet queue._M_impl._M_start %ld 8 0\n", (long)((const char *)&m.queue - start));
  printf("media::Packet queue._M_impl._M_finish %ld 8 0\n", (long)((const char *)&m.queue - start) + 8);
  printf("media::Packet waiting._M_t._M_impl._M_node_count %ld 8 0\n", (long)((const char *)&m.waiting - start) + 40);
  printf("Packed value %ld 4 0\n", (long)((const char *)&p.value - (const char *)&p));
  show("Virtual of_virtual", &v, v.of_virtual);
}
