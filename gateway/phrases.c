/* phrases.c - see phrases.h. */
#include "gateway/phrases.h"

#include <string.h>
#include <strings.h>

static const phrases spoken[] = {
    {"en", "no answer to the status check of", "says OK with a PIN that cannot be checked now, asked by",
     "did not answer when their timer had run out", "could not be asked when their timer had run out",
     "calls for help, asked by", "Question", "Answer", "Readings"},
    {"de", "keine Antwort auf die Statusabfrage von",
     "meldet OK mit einer PIN, die jetzt nicht geprüft werden kann, gefragt von",
     "keine Antwort, nachdem der Timer abgelaufen war",
     "konnte nicht gefragt werden, als der Timer abgelaufen war", "ruft um Hilfe, gefragt von", "Frage",
     "Antwort", "Messwerte"},
    {"fr", "aucune réponse au contrôle de",
     "répond OK avec un code PIN qui ne peut être vérifié maintenant, en réponse à",
     "aucune réponse à la fin de sa minuterie", "n'a pas pu être joint à la fin de sa minuterie",
     "appelle à l'aide, en réponse à", "Question", "Réponse", "Mesures"},
    {"es", "sin respuesta a la consulta de",
     "responde OK con un PIN que ahora no se puede comprobar, en respuesta a",
     "sin respuesta al terminar su temporizador", "no se le pudo preguntar al terminar su temporizador",
     "pide ayuda, en respuesta a", "Pregunta", "Respuesta", "Mediciones"},
    {"af", "geen antwoord op die navraag van",
     "antwoord OK met 'n PIN wat nie nou nagegaan kan word nie, gevra deur",
     "geen antwoord nadat die tydhouer afgeloop het nie",
     "kon nie gevra word toe die tydhouer afgeloop het nie", "roep om hulp, gevra deur", "Vraag", "Antwoord",
     "Lesings"},
};

const phrases *phrases_of(const char *lang) {
    size_t len = strcspn(lang, "-");
    for (size_t i = 0; i < ARRAY_LEN(spoken); i++)
        if (strlen(spoken[i].lang) == len && strncasecmp(spoken[i].lang, lang, len) == 0)
            return &spoken[i];
    return &spoken[0];
}
