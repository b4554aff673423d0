// Bugs that are made on purpose, to see that the simulator (docs/simulation.md) finds them. Only its own build of the
// pipeline has them; elsewhere the question is answered by the compiler, with no.
#ifndef WALLABY_BASE_DELIBERATE_BUG_H_
#define WALLABY_BASE_DELIBERATE_BUG_H_

namespace wallaby {

enum class DeliberateBug {
  kNone,
  kAcknowledgeFirst,    // the source is told before the checkpoint is stored
  kForgetLastBatch,     // a batch counts as durable before the destination has committed it
  kIgnoreGeneration,    // a worker that was overtaken goes on storing checkpoints
  kGateAfterDelivery,   // a transaction with DDL is delivered instead of held
  kDeliverTwice,        // what a destination holds already is not left out
  kIdleTooEarly,        // an idle position is acknowledged while something is on its way
  kForgetSnapshot,      // changes that a table's copy shows are streamed again
  kRememberShapeEarly,  // a shape is stored before the rows in the one before it are durable
  kTrustPosition,       // a slot that went back is taken for one of the same history
};

#ifdef WALLABY_DELIBERATE_BUGS
extern DeliberateBug deliberate_bug;  // in the simulator's main.cc
inline bool HasBug(DeliberateBug bug) {
  return deliberate_bug == bug;
}
#else
constexpr bool HasBug(DeliberateBug) {
  return false;
}
#endif

}  // namespace wallaby

#endif  // WALLABY_BASE_DELIBERATE_BUG_H_
