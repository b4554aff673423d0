// Freer: makes std::unique_ptr free what a C library made: std::unique_ptr<SSL, Freer<SSL_free>>.
#ifndef WALLABY_BASE_FREER_H_
#define WALLABY_BASE_FREER_H_

namespace wallaby {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

}  // namespace wallaby

#endif  // WALLABY_BASE_FREER_H_
