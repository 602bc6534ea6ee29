/* How patients are found: the rules behind `--patients`. Private to the data room; read
 * patients.c first. */
#ifndef EG_DATA_PATIENTS_H
#define EG_DATA_PATIENTS_H

#include "data/data.h"

/* Longest patient id, with its NUL; file names have at most 255 bytes. */
#define EG_DATA_PATIENT_BYTES 272

/* Patient id of a file by rule "kermany" or "prefix"; `file` may have folders in front. False:
 * the name does not follow the rule, `out` untouched then. */
bool eg_data_patient_kermany(char out[EG_DATA_PATIENT_BYTES], const char *file);
bool eg_data_patient_prefix(char out[EG_DATA_PATIENT_BYTES], const char *file);
/* Resolve o->patients and fill `patient` of every sample and patient_rule; a patient_rule "column" says that the samples
 * have a manifest's ids already. EG_ERR_USAGE: unknown rule, or dicom without a salt. EG_ERR_INPUT: the rule gives nothing
 * here. EG_ERR_NO_MEMORY. */
eg_status eg_data_patients_assign(eg_dataset *ds, const eg_dataset_options *o, eg_error *err);

#endif
