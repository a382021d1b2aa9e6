/* body_signals.c - the words a rule can be made of. The limits of a rule have to lie where the signal can be:
 * a limit nobody reaches would be a rule that never speaks. */
#include "core/body_private.h"

static const signal_row rows[SIGNALS] = {
    [SIGNAL_HR] = {"hr", "pulse", "%.0f/min", 20, 250, 4, VITAL_HR, true, false},
    [SIGNAL_SPO2] = {"spo2", "oxygen saturation", "%.0f%%", 50, 100, 1, VITAL_SPO2, true, false},
    [SIGNAL_RESP] = {"resp", "breathing", "%.0f/min", 2, 70, 1, VITAL_RESP, true, false},
    [SIGNAL_TEMP] = {"temp", "temperature",
                     "%.1f \xc2\xb0"
                     "C",
                     25, 45, 0.2, VITAL_TEMP, true, false},
    [SIGNAL_SYS] = {"sys", "systolic pressure", "%.0f mmHg", 40, 300, 4, VITAL_SYS, true, false},
    [SIGNAL_DIA] = {"dia", "diastolic pressure", "%.0f mmHg", 20, 200, 4, VITAL_DIA, true, false},
    [SIGNAL_HR_OVER_USUAL] = {"hr.over_usual", "pulse over the usual", "%+.0f/min", -150, 200, 5, VITAL_HR,
                              true, false},
    [SIGNAL_SPO2_OVER_USUAL] = {"spo2.over_usual", "oxygen saturation over the usual", "%+.0f%%", -50, 20, 1,
                                VITAL_SPO2, true, false},
    [SIGNAL_RESP_OVER_USUAL] = {"resp.over_usual", "breathing over the usual", "%+.0f/min", -40, 60, 2,
                                VITAL_RESP, true, false},
    [SIGNAL_TEMP_OVER_USUAL] = {"temp.over_usual", "temperature over the usual",
                                "%+.1f \xc2\xb0"
                                "C",
                                -10, 10, 0.2, VITAL_TEMP, true, false},
    [SIGNAL_HR_TREND] = {"hr.trend", "pulse going", "%+.0f/min each minute", -200, 200, 1, VITAL_HR, true,
                         false},
    [SIGNAL_SPO2_TREND] = {"spo2.trend", "oxygen saturation going", "%+.1f%% each minute", -50, 50, 0.2,
                           VITAL_SPO2, true, false},
    [SIGNAL_RESP_TREND] = {"resp.trend", "breathing going", "%+.1f/min each minute", -60, 60, 0.5, VITAL_RESP,
                           true, false},
    [SIGNAL_TEMP_TREND] = {"temp.trend", "temperature going",
                           "%+.2f \xc2\xb0"
                           "C each minute",
                           -2, 2, 0.02, VITAL_TEMP, true, false},
    [SIGNAL_HR_OF_MAX] = {"hr.of_max", "pulse of the highest for the age", "%.0f%%", 20, 160, 3, VITAL_HR,
                          true, false},
    [SIGNAL_HR_DROP] = {"hr.drop", "pulse fallen within a minute by", "%.0f", 10, 200, 10, VITAL_HR, true,
                        false},
    [SIGNAL_RMSSD] = {"rmssd", "heart-rate variability (RMSSD)", "%.0f ms", 1, 500, 3, VITAL_HR, false,
                      false},
    [SIGNAL_NEWS2] = {"news2", "NEWS2", "%.0f", 0, 20, 1, VITALS, false, false},
    [SIGNAL_NEWS2_SINGLE] = {"news2.single", "highest single NEWS2 score", "%.0f", 0, 3, 0, VITALS, false,
                             false},
    [SIGNAL_STILL] = {"still", "no movement for", "%.0f s", 0, 86400, 0, VITALS, false, true},
    [SIGNAL_FALL] = {"fall", "no movement since a fall for", "%.0f s", 0, 86400, 0, VITALS, false, true},
    [SIGNAL_STILL_DEVICE] = {"still.device", "the device has missed movement for", "%.0f s", 0, 86400, 0,
                             VITALS, false, true},
    [SIGNAL_LOST] = {"lost", "nothing that can be believed for", "%.0f s", 0, 86400, 0, VITALS, false, true},
    [SIGNAL_LOST_WORRYING] = {"lost.worrying", "nothing that can be believed, right after trouble, for",
                              "%.0f s", 0, 86400, 0, VITALS, false, true},
    [SIGNAL_TOUCHING] = {"touching", "sensor on the skin", "%.0f", 0, 1, 0, VITALS, false, true},
    [SIGNAL_OFF_SKIN] = {"off_skin", "sensor off the skin for", "%.0f s", 0, 86400, 0, VITALS, false, true},
    [SIGNAL_SILENT] = {"silent", "sensor silent for", "%.0f s", 0, 86400, 0, VITALS, false, true},
    [SIGNAL_HR_STUCK] = {"hr.stuck", "the very same pulse for", "%.0f s", 10, 86400, 0, VITAL_HR, false,
                         true},
};

const signal_row *signal_of(signal s) {
    return &rows[s];
}

bool signal_named(text word, signal *ret_signal) {
    for (size_t i = 0; i < SIGNALS; i++)
        if (text_equal(text_of(rows[i].word), word)) {
            *ret_signal = (signal)i;
            return true;
        }
    return false;
}
