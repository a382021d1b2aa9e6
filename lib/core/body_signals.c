/* body_signals.c - the words a rule can be made of. The limits of a rule have to lie where the signal can be:
 * a limit nobody reaches would be a rule that never speaks. */
#include "core/body_private.h"

static const signal_row rows[SIGNALS] = {
    [SIGNAL_HR] = {"hr", "pulse", "pulse %.0f/min", 20, 250, 4, VITAL_HR, false},
    [SIGNAL_SPO2] = {"spo2", "oxygen saturation", "oxygen saturation %.0f%%", 50, 100, 1, VITAL_SPO2, false},
    [SIGNAL_RESP] = {"resp", "breathing", "breathing %.0f/min", 2, 70, 1, VITAL_RESP, false},
    [SIGNAL_TEMP] = {"temp", "temperature",
                     "temperature %.1f \xc2\xb0"
                     "C",
                     25, 45, 0.2, VITAL_TEMP, false},
    [SIGNAL_SYS] = {"sys", "systolic pressure", "systolic pressure %.0f mmHg", 40, 300, 4, VITAL_SYS, false},
    [SIGNAL_DIA] = {"dia", "diastolic pressure", "diastolic pressure %.0f mmHg", 20, 200, 4, VITAL_DIA,
                    false},
    [SIGNAL_HR_OVER_USUAL] = {"hr.over_usual", "pulse", "%+.0f/min from the usual", -150, 200, 5, VITAL_HR,
                              false},
    [SIGNAL_SPO2_OVER_USUAL] = {"spo2.over_usual", "oxygen saturation", "%+.0f%% from the usual", -50, 20, 1,
                                VITAL_SPO2, false},
    [SIGNAL_RESP_OVER_USUAL] = {"resp.over_usual", "breathing", "%+.0f/min from the usual", -40, 60, 2,
                                VITAL_RESP, false},
    [SIGNAL_TEMP_OVER_USUAL] = {"temp.over_usual", "temperature",
                                "%+.1f \xc2\xb0"
                                "C from the usual",
                                -10, 10, 0.2, VITAL_TEMP, false},
    [SIGNAL_HR_TREND] = {"hr.trend", "pulse", "going %+.0f/min each minute", -200, 200, 1, VITAL_HR, false},
    [SIGNAL_SPO2_TREND] = {"spo2.trend", "oxygen saturation", "going %+.1f%% each minute", -50, 50, 0.2,
                           VITAL_SPO2, false},
    [SIGNAL_RESP_TREND] = {"resp.trend", "breathing", "going %+.1f/min each minute", -60, 60, 0.5, VITAL_RESP,
                           false},
    [SIGNAL_TEMP_TREND] = {"temp.trend", "temperature",
                           "going %+.2f \xc2\xb0"
                           "C each minute",
                           -2, 2, 0.02, VITAL_TEMP, false},
    [SIGNAL_HR_OF_MAX] = {"hr.of_max", "pulse", "%.0f%% of the highest for the age", 20, 160, 3, VITAL_HR,
                          false},
    [SIGNAL_HR_OF_USUAL] = {"hr.of_usual", "pulse", "%.0f%% of the usual", 10, 400, 5, VITAL_HR, false},
    [SIGNAL_HR_NOISE] = {"hr.noise", "pulse", "jumping by %.0f/min", 0, 40, 1, VITAL_HR, false},
    [SIGNAL_HR_DROP] = {"hr.drop", "pulse", "fallen by %.0f within a minute", 10, 200, 10, VITAL_HR, false},
    [SIGNAL_RMSSD] = {"rmssd", "heart-rate variability", "heart-rate variability (RMSSD) %.0f ms", 1, 500, 3,
                      VITALS, false},
    [SIGNAL_NEWS2] = {"news2", "NEWS2", "NEWS2 %.0f", 0, 20, 1, VITALS, false},
    [SIGNAL_NEWS2_SINGLE] = {"news2.single", "NEWS2", "single NEWS2 score %.0f", 0, 3, 0, VITALS, false},
    [SIGNAL_STILL] = {"still", "movement", "no movement for %.0f s", 0, 86400, 0, VITALS, true},
    [SIGNAL_ACTIVE_AGO] = {"active.ago", "movement", "active %.0f s ago", 0, 86400, 0, VITALS, true},
    [SIGNAL_FALL] = {"fall", "movement", "no movement for %.0f s since a fall", 0, 86400, 0, VITALS, true},
    [SIGNAL_STILL_DEVICE] = {"still.device", "movement", "the device has told of no movement for %.0f s", 0,
                             86400, 0, VITALS, true},
    [SIGNAL_LOST] = {"lost", "readings", "nothing that can be believed for %.0f s", 0, 86400, 0, VITALS,
                     true},
    [SIGNAL_LOST_WORRYING] = {"lost.worrying", "readings",
                              "nothing that can be believed for %.0f s, right after trouble", 0, 86400, 0,
                              VITALS, true},
    [SIGNAL_TOUCHING] = {"touching", "contact", "sensor on the skin (%.0f)", 0, 1, 0, VITALS, true},
    [SIGNAL_OFF_SKIN] = {"off_skin", "contact", "sensor off the skin for %.0f s", 0, 86400, 0, VITALS, true},
    [SIGNAL_SILENT] = {"silent", "readings", "sensor silent for %.0f s", 0, 86400, 0, VITALS, true},
    [SIGNAL_HR_STUCK] = {"hr.stuck", "a pulse that varies", "the very same pulse for %.0f s", 10, 86400, 0,
                         VITALS, true},
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
