#include "service/doctor_convert.h"

#include <algorithm>
#include <string>

namespace wallaby {
namespace {

Health HealthOf(const v1::DoctorReport& report) {
  for (const Health health : {Health::kProblem, Health::kWarning}) {
    if (report.status() == HealthName(health)) return health;
  }
  return Health::kOk;
}

}  // namespace

void AddToReport(const std::vector<Diagnosis>& diagnoses, v1::DoctorReport* report) {
  Health worst = HealthOf(*report);
  for (const Diagnosis& diagnosis : diagnoses) {
    v1::DoctorCheck* check = report->add_checks();
    check->set_check(diagnosis.check);
    check->set_object(diagnosis.object);
    check->set_status(std::string(HealthName(diagnosis.health)));
    check->set_sentence(diagnosis.sentence);
    check->set_sql(diagnosis.sql);
    check->set_run_as(diagnosis.run_as);
    worst = std::max(worst, diagnosis.health);
  }
  report->set_status(std::string(HealthName(worst)));
}

}  // namespace wallaby
