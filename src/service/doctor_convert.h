// The doctor's findings as the wire has them: the same from the server and from the command line.
#ifndef WALLABY_SERVICE_DOCTOR_CONVERT_H_
#define WALLABY_SERVICE_DOCTOR_CONVERT_H_

#include <vector>

#include "postgres/doctor.h"
#include "wallaby/v1/services.pb.h"

namespace wallaby {

// Appends them, and makes the report's status the worst of all.
void AddToReport(const std::vector<Diagnosis>& diagnoses, v1::DoctorReport* report);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_DOCTOR_CONVERT_H_
